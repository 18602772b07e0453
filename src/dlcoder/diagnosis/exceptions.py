"""What exceptions say by where they were raised: the user's call, a library's interface, a configuration, a worker."""

import re
from collections.abc import Callable, Sequence

from dlcoder.diagnosis.echoes import raises_echo
from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.tracebacks import Frame, Raised

LIBRARIES = frozenset(
    [
        "torch",
        "torchvision",
        "torchaudio",
        "torchtext",
        "lightning",
        "pytorch_lightning",
        "lightning_fabric",
        "transformers",
        "datasets",
        "accelerate",
        "deepspeed",
        "peft",
        "trl",
        "diffusers",
        "tokenizers",
        "huggingface_hub",
        "evaluate",
        "numpy",
        "scipy",
        "sklearn",
        "scikit",
        "pandas",
        "pil",
        "pillow",
        "cv2",
        "matplotlib",
        "skimage",
        "albumentations",
        "albumentations",
        "imgaug",
        "mmcv",
        "mmengine",
        "mmdet",
        "mmseg",
        "mmpose",
        "mmcls",
        "mmdet3d",
        "detectron2",
        "fvcore",
        "iopath",
        "ultralytics",
        "timm",
        "einops",
        "omegaconf",
        "hydra",
        "yacs",
        "pydantic",
        "tensorflow",
        "keras",
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "paddle",
        "mxnet",
        "chainer",
        "horovod",
        "apex",
        "xformers",
        "flash_attn",
        "bitsandbytes",
        "triton",
        "torchmetrics",
        "torch_geometric",
        "torch_scatter",
        "torch_sparse",
        "dgl",
        "monai",
        "nltk",
        "spacy",
        "gensim",
        "tensorboard",
        "tensorboardx",
        "wandb",
        "mlflow",
        "ray",
        "fairseq",
        "espnet",
        "speechbrain",
        "librosa",
        "soundfile",
        "h5py",
        "tqdm",
        "gym",
        "gymnasium",
        "stable_baselines3",
        "pycocotools",
        "shapely",
        "collections",
        "inspect",
        "asyncio",
        "typing",
        "importlib_metadata",
        "protobuf",
        "google",
        "setuptools",
        "pkg_resources",
        "distutils",
        "imp",
        "kornia",
        "segmentation_models_pytorch",
        "pretrainedmodels",
        "efficientnet_pytorch",
        "ignite",
        "catalyst",
        "fastai",
        "torchdiffeq",
        "tensorrt",
        "onnx",
        "onnxruntime",
        "nemo",
        "megatron",
        "clip",
        "open_clip",
        "sentence_transformers",
        "xgboost",
        "lightgbm",
        "networkx",
        "seaborn",
        "attr",
        "jinja2",
        "yaml",
        "ruamel",
        "scipy",
        "rouge",
        "seqeval",
        "allennlp",
        "vllm",
        "modelscope",
        "gradio",
        "faiss",
        "numba",
        "llvmlite",
        "dask",
        "tables",
        "imageio",
        "ffmpeg",
        "moviepy",
        "decord",
        "av",
    ]
)
_STDLIB = frozenset(
    [
        "multiprocessing",
        "threading",
        "queue",
        "pickle",
        "runpy",
        "argparse",
        "importlib",
        "concurrent",
        "json",
        "os",
        "copy",
    ]
)
# Classes and functions of libraries whose keyword arguments have come and gone.
_LIBRARY_CALLEES = frozenset(
    [
        "Trainer",
        "TrainingArguments",
        "Seq2SeqTrainingArguments",
        "Seq2SeqTrainer",
        "SFTTrainer",
        "SFTConfig",
        "DPOTrainer",
        "PPOConfig",
        "PPOTrainer",
        "LoraConfig",
        "Accelerator",
        "ModelCheckpoint",
        "EarlyStopping",
        "DDPStrategy",
        "DataLoader",
        "Adam",
        "AdamW",
        "SGD",
        "ReduceLROnPlateau",
        "CosineAnnealingLR",
        "OneCycleLR",
        "MultiStepLR",
        "SummaryWriter",
        "Compose",
        "Resize",
        "RandomResizedCrop",
        "RandomAffine",
        "from_pretrained",
        "load_dataset",
        "load",
        "init_process_group",
        "spawn",
        "compile",
        "OneHotEncoder",
        "TSNE",
        "KMeans",
        "GaussianNB",
        "BertTokenizer",
        "Tokenizer",
        "LlamaConfig",
        "init",
        "stft",
        "meshgrid",
        "svd",
        "qr",
        "interpolate",
        "set_epoch",
        "step",
        "clip_grad_norm_",
        "DistributedDataParallel",
        "Conv2d",
        "GELU",
        "Transformer",
        "TransformerEncoderLayer",
        "MultiheadAttention",
        "LSTM",
        "Embedding",
        "resnet50",
        "resnet18",
        "vgg16",
        "create_model",
        "Accuracy",
        "F1Score",
        "ConfusionMatrix",
        "Precision",
        "Recall",
        "AUROC",
        "MeanMetric",
        "Field",
        "Iterator",
        "BucketIterator",
        "read_csv",
        "DataFrame",
        "savefig",
        "imread",
        "imresize",
        "imsave",
        "ShiftScaleRotate",
        "GaussNoise",
        "CoarseDropout",
        "HorizontalFlip",
        "ElasticTransform",
        "load_model",
        "fit_generator",
        "Dense",
        "LSTMCell",
        "Sequential",
        "Dropout",
        "get_context",
        "Session",
        "make_grid",
        "save_image",
        "TensorBoardLogger",
        "WandbLogger",
        "CSVLogger",
        "CometLogger",
        "Timer",
    ]
)
_MISSING = re.compile(r"No module named ['\"]?([\w./\-]+)")
_CANNOT = re.compile(
    r"cannot import name ['\"]?(\w+)['\"]?(?: from (?:partially initialized module )?['\"]([\w.]+)['\"])?(?: "
    r"\(([^)]*)\))?"
)
_MODULE_ATTRIBUTE = re.compile(
    r"module ['\"]?([\w.]+)['\"]? has no attribute ['\"]{0,2}(\w+)|partially initialized module ['\"]([\w.]+)"
)
_OBJECT_ATTRIBUTE = re.compile(r"(?:type object )?['\"]?([\w.]+)['\"]?(?: object)? has no attribute ['\"]?(\w+)")
_KEYWORD = re.compile(
    r"(?:([\w.]+)\(\) )?got an unexpected keyword argument ['\"]?(\w+)|([\w.]+)\(\) got multiple values"
)
_NATIVE_NAME = re.compile(
    r"(?:^|[._])(?:_C\w*|_ext|ext|cuda|C|ops|lib|extension)(?:$|[._])|_cuda$|_ext$|_C$|_cpp$|cuda_|_kernel", re.I
)
_CONFIG_CODE = re.compile(
    r"\*\*\s?\(?(?:self\.)?\w*(?:cfg|config|conf|args|kwargs|params|opt|hparams|hp|settings|yaml|spec)|from_yaml"
    r"|build_from_cfg|instantiate_from_config"
    r"|instantiate\(|obj_cls\(|registry|from_dict|fromfile",
    re.I,
)
_CONFIG_FRAME = re.compile(
    r"config|cfg|hydra|omegaconf|yacs|argparse|registry|build_from|from_yaml|opts?\.py|hparams|settings|options?[/\\]",
    re.I,
)
_CONFIG_OBJECTS = frozenset(
    [
        "Namespace",
        "ConfigDict",
        "Config",
        "CfgNode",
        "DictConfig",
        "AttrDict",
        "EasyDict",
        "Munch",
        "Box",
        "Struct",
        "HParams",
        "Bunch",
        "Dict",
        "SimpleNamespace",
        "DotDict",
    ]
)
_LIBRARY_OBJECT = re.compile(
    r"^\w*Trainer$|^Variable$|Tokenizer|Config$|For(?:CausalLM|ConditionalGeneration|SequenceClassification)|Processor$"
    r"|^(?:Upsample|GELU|Conv[123]d|BatchNorm[123]d|LayerNorm|Sequential|Linear|Adam\w*|SGD|\w+LR|DataFrame"
    r"|Series|Index"
    r"|FreeTypeFont|ImageDraw|Axes\w*|Figure|Session|Image|Accelerator|Dataset|DatasetDict|Field|Example|Transpose"
    r"|Accelerated\w+|\w*Cache|(?:Llama|Mistral|Qwen2?\w*|Bert|Roberta|GPT\w*|T5|Bart|OPT|Gemma\d?|Phi\d?)\w*(?:Attention|Layer|Embedding|Model)"
    r"|ModelOutput|Graph)$"
)
_METHODS = frozenset(
    [
        "train",
        "eval",
        "cuda",
        "cpu",
        "to",
        "parameters",
        "named_parameters",
        "forward",
        "step",
        "backward",
        "zero_grad",
        "state_dict",
        "load_state_dict",
        "shape",
        "size",
        "dtype",
        "device",
        "item",
        "numpy",
        "detach",
        "requires_grad",
        "modules",
        "children",
    ]
)
_LABEL_CODE = re.compile(
    r"split(?:t?ed)?\b|\blines?\[|\brow\[|Image\.open\(|label|(?<![cC])annot|ann\b|ann\[|bbox|boxes|target|gt_|categor"
    r"|class(?:es)?\b|cls\b|coco|voc|xml|polygon|segmentation|caption|transcript|\.split\(|mask",
    re.I,
)
_DATA_FRAME = re.compile(
    r"dataset|data_?load|dataload|collate|__getitem__|sampler|transform|preprocess|pipeline|augment|reader|parse"
    r"|annotation|corpus",
    re.I,
)
_LOSS_FRAME = re.compile(r"loss|criterion|cross_entropy|nll|bce|metric|accura|target", re.I)
_OPTIM_FRAME = re.compile(r"[/\\]optim[/\\]|optimizer|adamw?\.py|sgd\.py", re.I)
_LOAD_FRAME = re.compile(
    r"load_state_dict|torch\.load|load_checkpoint|resume|load_weights|from_pretrained|load_model|serialization"
    r"|pretrain",
    re.I,
)


def _library_of(frame: Frame | None) -> str:
    library = frame.library if frame else ""
    return "" if library in _STDLIB else library


def _stack(raised: Raised) -> str:
    return raised.before + "\n".join(f"{frame.file} {frame.function} {frame.code}" for frame in raised.frames[-14:])


def _import_facts(raised: Raised) -> list[Fact]:
    text = raised.message
    missing = _MISSING.search(text)
    if missing:
        name = missing[1]
        top, _, rest = name.partition(".")
        if _NATIVE_NAME.search(name):
            return [Fact("import.extension", raised.line, note=f"{name} is a compiled extension")]
        if rest and top.lower() in LIBRARIES:
            return [
                Fact("import.submodule-gone", raised.line, note=f"{top} is installed but has no {name} in this version")
            ]
        if name in ("pkg_resources", "distutils", "imp", "torch._six", "asyncore", "past"):
            return [Fact("import.submodule-gone", raised.line)]
        return [
            Fact(
                "import.missing",
                raised.line,
                note=f"{name} is not installed in this interpreter",
                values={"module": top},
            )
        ]
    cannot = _CANNOT.search(text)
    if cannot:
        module = (cannot[2] or "").split(".")[0].lower()
        where = cannot[3] or ""
        if "partially initialized" in text or "circular import" in text:
            return [Fact("import.circular", raised.line)]
        if module in LIBRARIES or "site-packages" in where or "dist-packages" in where:
            return [
                Fact(
                    "import.name-gone",
                    raised.line,
                    note=f"{cannot[1]} is not in this version of {module or 'the library'}",
                )
            ]
        if not cannot[2]:
            return [Fact("import.name-gone" if _library_of(raised.deepest) else "import.name-unclear", raised.line)]
        return [
            Fact(
                "import.name-own",
                raised.line,
                note=f"{module} is not a known library: a file of the project or one that shadows it",
            )
        ]
    return []


def _code_of(raised: Raised) -> str:
    return raised.deepest.code if raised.deepest else raised.before


def _attribute_facts(raised: Raised) -> list[Fact]:
    module = _MODULE_ATTRIBUTE.search(raised.message)
    if module and module[1]:
        top = module[1].split(".")[0].lower()
        if top in LIBRARIES:
            return [Fact("attr.module-gone", raised.line, note=f"{module[1]} has no {module[2]} in this version")]
        return [Fact("attr.module-own", raised.line)]
    found = _OBJECT_ATTRIBUTE.search(raised.message)
    if not found:
        return []
    owner, name = found[1].split(".")[-1], found[2]
    facts = []
    if owner in _CONFIG_OBJECTS and name in _METHODS:
        facts.append(Fact("attr.object", raised.line, note=f"{owner} is not a module: it has no {name}"))
    elif owner in _CONFIG_OBJECTS:
        facts.append(Fact("attr.config", raised.line, note=f"the configuration has no {name}"))
    elif _LIBRARY_OBJECT.search(owner) and not _library_of(raised.deepest) and f"self.{name}" not in _code_of(raised):
        facts.append(Fact("attr.library-object", raised.line, note=f"{owner} of the installed version has no {name}"))
    elif owner == "NoneType":
        stack = _stack(raised)
        if name in ("shape", "astype", "copy", "ndim", "size", "convert", "split", "transpose") and _DATA_FRAME.search(
            stack + raised.line.raw
        ):
            facts.append(Fact("attr.none-image", raised.line, note="an image or record came back as None"))
        else:
            facts.append(Fact("attr.none", raised.line))
    elif _library_of(raised.deepest) and _library_of(raised.deepest) in LIBRARIES:
        facts.append(Fact("attr.in-library", raised.line, note=f"raised inside {_library_of(raised.deepest)}"))
    else:
        facts.append(Fact("attr.object", raised.line, note=f"{owner} has no {name}"))
    return facts


# Keyword arguments that versions of Transformers, TRL, Lightning, torchvision, torch, scikit-learn added or dropped.
_VERSIONED_KEYWORDS = frozenset(
    [
        "eval_strategy",
        "evaluation_strategy",
        "processing_class",
        "prediction_loss_only",
        "num_items_in_batch",
        "dispatch_batches",
        "even_batches",
        "use_seedable_sampler",
        "max_seq_length",
        "dataset_text_field",
        "tokenizer_name",
        "overwrite_output_dir",
        "gpus",
        "num_processes",
        "progress_bar_refresh_rate",
        "checkpoint_callback",
        "weights_summary",
        "distributed_backend",
        "flush_logs_every_n_steps",
        "truncated_bptt_steps",
        "replace_sampler_ddp",
        "auto_select_gpus",
        "resume_from_checkpoint",
        "accelerator_connector",
        "auto_scale_batch_size",
        "terminate_on_nan",
        "stochastic_weight_avg",
        "amp_backend",
        "amp_level",
        "process_position",
        "move_metrics_to_cpu",
        "multiple_trainloader_mode",
        "track_grad_norm",
        "use_distributed_sampler",
        "reload_dataloaders_every_epoch",
        "inference_mode",
        "barebones",
        "sync_batchnorm",
        "antialias",
        "interpolation",
        "fillcolor",
        "pretrained_backbone",
        "weights",
        "size_average",
        "foreach",
        "fused",
        "capturable",
        "verbose",
        "is_causal",
        "weights_only",
        "mmap",
        "use_reentrant",
        "forward_prefetch",
        "squared",
        "sparse",
        "sparse_output",
        "base_estimator",
        "normalize",
        "n_iter",
        "n_iter_no_change",
    ]
)
_PACKAGE_ALIASES = frozenset(["pl", "np", "plt", "nn", "optim", "transforms", "tf", "smp", "sns", "pd", "hvd", "tio"])


def _keyword_fact(raised: Raised, keyword: re.Match[str], code: str) -> Fact:
    """Whose keyword it is that a call does not know."""
    deepest = raised.deepest
    callee = (keyword[1] or keyword[3] or "").split(".")
    if callee[-1] == "forward":
        caller = next((frame for frame in reversed(raised.frames) if _library_of(frame) != "torch"), None)
        if caller and _library_of(caller) in LIBRARIES and re.search(rf"\b{keyword[2]}\b ?=", caller.code):
            return Fact("call.library-keyword", raised.line, note="the library passes an argument of another version")
        return Fact("call.own-keyword", raised.line, note="the module's forward has no such argument")
    owner = next((part for part in callee if part not in ("__init__", "__new__", "")), "")
    if keyword[2] in _VERSIONED_KEYWORDS:
        return Fact("call.library-keyword", raised.line, note=f"versions of the library differ in `{keyword[2]}`")
    if owner.endswith("Trainer") and callee[-1] not in ("__init__", owner):
        return Fact("call.library-keyword", raised.line, note="the library calls its hooks with other arguments")
    called = re.search(r"([\w.]+)\(\*?\*?", code)
    names = {owner, *(re.findall(r"(\w+)\(", code))}
    in_config = deepest and _CONFIG_FRAME.search(deepest.file + deepest.function)
    if _CONFIG_CODE.search(code) or (in_config and not names & _LIBRARY_CALLEES):
        return Fact("call.config-keyword", raised.line, note="the keyword comes out of the configuration")
    package = called[1].split(".")[0].lower() if called else ""
    if names & _LIBRARY_CALLEES or _library_of(deepest) in LIBRARIES or package in LIBRARIES | _PACKAGE_ALIASES:
        return Fact("call.library-keyword", raised.line, note="the keyword does not exist in the installed version")
    return Fact("call.own-keyword", raised.line)


def _call_facts(raised: Raised) -> list[Fact]:
    text = raised.message
    own, deepest = raised.own, raised.deepest
    code = (deepest.code if deepest else "") + " " + (own.code if own else "")
    keyword = _KEYWORD.search(text)
    if keyword:
        return [_keyword_fact(raised, keyword, code)]
    if re.search(
        r"missing \d+ required (?:positional|keyword-only) argument|takes (?:from )?\d+ (?:to \d+ )?positional "
        r"arguments? but",
        text,
    ):
        library = _library_of(deepest)
        if library in LIBRARIES and library != "torch":
            return [Fact("call.library-arguments", raised.line)]
        return [Fact("call.arguments", raised.line)]
    if _TEXT_NUMBER.search(text) and (_OPTIM_FRAME.search(_stack(raised)) or _CONFIG_CODE.search(code)):
        return [Fact("value.text-number", raised.line, note="a number arrived as text")]
    if re.search(
        r"not (?:callable|subscriptable|iterable)|unsupported operand|must be (?:str|real number|int|Tensor)"
        r"|expected str|argument of type|indices must be"
        r"|can only concatenate|cannot unpack|object cannot be interpreted|invalid combination of arguments"
        r"|received an invalid",
        text,
    ):
        return [Fact("call.type", raised.line)]
    return []


_TEXT_NUMBER = re.compile(
    r"not supported between instances of '(?:float|int)' and 'str'"
    r"|not supported between instances of 'str' and '(?:float|int)'"
)
_CONFIG_KEY = re.compile(r"\b(?:cfg|conf|config|hparams|hyp|opts?|args|params|settings)\b[^=\n]{0,60}\[")
_LOADER_LOOP = re.compile(r"^\s*for .{1,200} in .{0,80}(?:[Ll]oader|enumerate\()")
_LENGTHS = re.compile(
    r"/ ?\(?(?:float\()?len\(|len\(\w*(?:loader|dataset|data)|num_batches|n_batches|num_samples"
    r"|total_steps|steps_per_epoch|\.dataset"
)


def _key_fact(raised: Raised) -> Fact:
    """What was being read when a key was missing."""
    stack = _stack(raised)
    deepest = raised.deepest
    code = deepest.code if deepest else raised.before
    if _CONFIG_KEY.search(code):
        return Fact("key.in-config", raised.line, note="raised while the configuration is read")
    if _LOAD_FRAME.search(stack):
        return Fact("key.in-load", raised.line, note="raised while a checkpoint is read")
    if _OPTIM_FRAME.search(stack):
        return Fact("key.in-optimizer", raised.line)
    in_config = deepest and _CONFIG_FRAME.search(deepest.file + " " + deepest.code)
    if in_config or re.search(r"cfg|config|conf\[|hyp\[|opt\[|args\[|params\[", stack):
        return Fact("key.in-config", raised.line, note="raised while the configuration is read")
    if _DATA_FRAME.search(stack) or _LABEL_CODE.search(stack):
        return Fact("key.in-data", raised.line, note="raised while samples are read")
    return Fact("key.other", raised.line)


_FIRST_OF_LISTING = re.compile(r"(?:files|paths|urls|shards|dirs|folders|names|images|ckpts|checkpoints)\[(?:0|-1)\]")


def _index_facts(raised: Raised) -> list[Fact]:
    """What was being read when an index was missing."""
    stack = _stack(raised)
    if "out of range in self" in raised.message or re.search(r"Target -?\d+ is out of bounds", raised.message):
        return []
    deepest = raised.deepest.code if raised.deepest else raised.before
    listing = _FIRST_OF_LISTING.search(deepest)
    if not listing and (_DATA_FRAME.search(stack) or _LABEL_CODE.search(stack)):
        return [Fact("index.in-data", raised.line, note="raised while samples are read")]
    if listing or re.search(r"glob|listdir|sorted\(|os\.walk|\[-1\]", stack):
        return [Fact("index.in-listing", raised.line, note="a listing of files came back empty")]
    return [Fact("index.other", raised.line)]


def _zero_fact(raised: Raised) -> Fact:
    """What the divisor was."""
    stack = _stack(raised) + " " + raised.line.raw
    if _LENGTHS.search(stack):
        return Fact("zero.by-length", raised.line, note="the divisor is the length of a loader or data set")
    if _LOSS_FRAME.search(stack):
        return Fact("zero.in-loss", raised.line, note="the divisor is a count in the loss or metric")
    return Fact("zero.other", raised.line)


_EMPTY = re.compile(r"\bempty\b|len\([^)]*\) ?(?:>|!=|>=) ?[01]|no (?:samples|data|images)|> 0\b")
_PARTS = re.compile(r"ckpt|checkpoint|param|group|optim|layer|module|device|gpu|rank|state|weight|handle|grad", re.I)
"""What a model or job is made of: where there is none of it, no data is missing."""


def _assertion_facts(raised: Raised) -> list[Fact]:
    """What was checked."""
    stack = _stack(raised) + " " + raised.line.raw
    checked = (raised.deepest.code if raised.deepest else raised.before) + " " + raised.message
    if re.search(r"isfile|isdir|exists|os\.path|Path\(", checked):
        return [Fact("assert.path", raised.line, note="a path was checked")]
    if _EMPTY.search(checked) and not _PARTS.search(checked):
        return [Fact("assert.empty", raised.line, note="a length was checked")]
    library = _library_of(raised.deepest)
    reads = not library or _DATA_FRAME.search(raised.deepest.file if raised.deepest else "")
    if reads and (_DATA_FRAME.search(stack) or _LABEL_CODE.search(stack + raised.message)):
        return [Fact("assert.in-data", raised.line)]
    return [Fact("assert.config", raised.line)] if _CONFIG_FRAME.search(stack) else []


def _value_facts(raised: Raised) -> list[Fact]:
    """What a value could not be turned into."""
    stack = _stack(raised) + " " + raised.line.raw
    data, label = bool(_DATA_FRAME.search(stack)), bool(_LABEL_CODE.search(stack))
    if re.search(r"(?:too many|not enough) values to unpack", raised.message):
        of_loader = raised.deepest and _LOADER_LOOP.search(raised.deepest.code)
        named = "value.unpack-data" if data and label and not of_loader else "value.unpack"
        return [Fact(named, raised.line)]
    if re.search(r"could not convert string to float|invalid literal for int", raised.message):
        return [Fact("value.parse-data" if data or label else "value.parse", raised.line)]
    return []


WRAPPERS = {"ChildFailedError", "ProcessRaisedException", "ProcessExitedException", "CalledProcessError", "SystemExit"}
WRAPPERS |= {"SignalException", "RayTaskError", "ActorDiedError", "WorkerCrashedError"}
_PLACES = (("in.data", _DATA_FRAME), ("in.loss", _LOSS_FRAME), ("in.optimizer", _OPTIM_FRAME), ("in.load", _LOAD_FRAME))
# A library's own check, by the file that raised it: its subject is known whatever the words are.
_INSIDE = (
    (
        "inside.sharding",
        re.compile(
            r"torch[/\\]distributed[/\\](?:fsdp|_fsdp|_composable|_?tensor|_shard\w*|checkpoint|_?state_dict|pipelin\w+"
            r"|device_mesh|_device_mesh|optim[/\\]zero\w*|_tools)"
            r"|deepspeed[/\\](?:runtime[/\\](?!dataloader|fp16[/\\]loss|lr_sched)|moe|sequence|module_inject|checkpoint|utils[/\\]groups)"
            r"|megatron[/\\](?:core[/\\])?(?:tensor_parallel|pipeline_parallel|parallel_state|mpu|model_parallel\w*"
            r"|distributed|transformer[/\\]transformer_config|dist_checkpointing|optimizer|num_microbatches\w*)"
            r"|colossalai[/\\]|fairscale[/\\](?:nn|optim)"
        ),
    ),
    ("inside.build", re.compile(r"op_builder[/\\]|cpp_extension\.py")),
    ("inside.rendezvous", re.compile(r"torch[/\\]distributed[/\\](?:rendezvous|elastic[/\\]rendezvous)")),
    (
        "inside.launcher",
        re.compile(
            r"torch[/\\]distributed[/\\](?:run|launch|launcher[/\\]\w+|argparse_util|elastic[/\\]agent[/\\]\S+)\.py"
        ),
    ),
)


def _place_facts(raised: Raised) -> list[Fact]:
    """Which part of training the frames belong to."""
    facts = [Fact("frames.own", raised.own.line)] if raised.own else []
    if raised.frames:
        stack = _stack(raised)
        facts += [Fact(name, raised.frames[-1].line) for name, pattern in _PLACES if pattern.search(stack)]
        deepest = raised.deepest or raised.frames[-1]
        facts += [Fact(name, raised.line) for name, pattern in _INSIDE if pattern.search(deepest.file)]
    return facts


def _code_facts(raised: Raised) -> list[Fact]:
    return [Fact("exc.code", raised.line, note="the code itself is wrong")]


_READERS: dict[str, Callable[[Raised], list[Fact]]] = {
    "ModuleNotFoundError": _import_facts,
    "ImportError": _import_facts,
    "AttributeError": _attribute_facts,
    "TypeError": _call_facts,
    "KeyError": lambda raised: [_key_fact(raised)],
    "IndexError": _index_facts,
    "ZeroDivisionError": lambda raised: [_zero_fact(raised)],
    "AssertionError": _assertion_facts,
}
_READERS |= dict.fromkeys(
    ("NameError", "UnboundLocalError", "SyntaxError", "IndentationError", "TabError"), _code_facts
)


def exception_facts(exceptions: Sequence[Raised]) -> list[Fact]:
    """What each exception says by its place; of wrappers of another process's failure, their names alone."""
    facts: list[Fact] = []
    for raised in exceptions:
        if raises_echo(raised):
            facts.append(Fact("exc.Echo", raised.line, role="effect"))
            continue
        facts.append(Fact(f"exc.{raised.name}", raised.line))
        if raised.name not in WRAPPERS:
            facts += _place_facts(raised) + _value_facts(raised)
            reader = _READERS.get(raised.name)
            facts += reader(raised) if reader else []
    return facts
