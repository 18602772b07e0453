# cause: dist-launch-args
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--local_rank", type=int, default=0)
parser.add_argument("--config")
sys.argv = ["train.py", "--local-rank=0", "--config", "a.yaml"]
parser.parse_args()
