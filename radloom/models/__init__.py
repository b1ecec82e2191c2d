"""One file per model family of the review (Fig. 2), each a p(x | given) behind the same two methods."""
