# cause: dl-label-format
class_to_idx = {"cat": 0, "dog": 1}
targets = [class_to_idx[name] for name in ("cat", "dog", "Cat ")]
