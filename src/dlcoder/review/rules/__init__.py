"""The rules, by what they look at. A rule is a function; its docstring is its documentation."""
