# cause: env-numpy
import numpy as np
def rasterize(polygons, size):
    return np.zeros(size, dtype=np.int)
rasterize([], (4, 4))
