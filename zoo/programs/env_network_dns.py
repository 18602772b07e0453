# cause: env-auth-network
import urllib.request
print("Downloading train-images-idx3-ubyte.gz")
urllib.request.urlretrieve("https://ossci-datasets.invalid/mnist/train-images-idx3-ubyte.gz", "x.gz")
