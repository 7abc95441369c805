"""People in space to look at: a page that turns them, films and strips of them, and rerun."""
