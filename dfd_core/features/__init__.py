"""Features: images decoded once, augmented, and turned into vectors by frozen backbones."""
