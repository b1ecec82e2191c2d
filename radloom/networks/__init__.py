"""What the model families are built from: modules that map tensors (b, c, *s) to tensors; no losses, no sampling."""
