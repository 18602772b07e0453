# cause: env-config
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--epochs", type=int, default=10)
sys.argv[1:] = ["--lr", "1e-4", "--epoch-num", "20"]
args = parser.parse_args()
