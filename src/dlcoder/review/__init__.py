"""Static checks of training code, and their fixes."""
