"""What synthetic images are for: the networks that read them. Trained on real images, then frozen."""
