"""Guards: whether an image shows what is not there or hides what is."""
