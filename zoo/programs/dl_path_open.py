# cause: dl-path
import pathlib
root = pathlib.Path("data/coco")
annotations = (root / "annotations/instances_train2017.json").read_text()
