# cause: dl-label-format
annotations = [{"image_id": 1, "bbox": [0, 0, 5, 5], "category_id": 1}, {"image_id": 2, "category_id": 3}]
boxes = [annotation["bbox"] for annotation in annotations]
