"""Code that a language model wrote, run as hostile and measured from outside."""
