"""Training (extra `train`): recipes, packed pictures, augmentation, losses, one loop, distillation,
export.
"""
