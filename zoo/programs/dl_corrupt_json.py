# cause: dl-corrupt-sample
import json
lines = ['{"text": "a b", "label": 0}', '{"text": "c d", "lab', '{"text": "e", "label": 1}']
samples = [json.loads(line) for line in lines]
