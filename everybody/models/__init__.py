"""Networks, one file per method. torch lives here and in `everybody.train` only (extra `train`)."""
