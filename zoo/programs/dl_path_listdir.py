# cause: dl-path
import os
classes = sorted(os.listdir("/datasets/imagenet/train"))
