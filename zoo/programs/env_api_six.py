# cause: env-api-removed
from torch._six import string_classes, int_classes
