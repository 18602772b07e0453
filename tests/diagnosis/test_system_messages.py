"""Messages of schedulers, kernels, drivers, file systems and launchers of all eras, one line each, by cause."""

import pytest

from dlcoder.diagnosis.diagnose import judge

MESSAGES = {
    "compile-backend": (
        "RuntimeError: Internal Triton PTX codegen error",
        "torch._inductor.exc.LoweringException: AssertionError: ",
        "torch._inductor.exc.InductorError: CppCompileError: C++ compile error",
        "OutOfMemoryError: out of resource: shared memory, Required: 245760, Hardware limit: 101376",
        "AssertionError: libcuda.so cannot found!",
    ),
    "cuda-arch-mismatch": (
        "HIP error: invalid device function",
        "CUDA error: no kernel image is available for execution on the device",
        "CUDA error: PTX JIT compilation failed",
        "CUDA error: device kernel image is invalid",
    ),
    "cuda-driver-mismatch": (
        "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        "Failed to initialize NVML: Driver/library version mismatch",
        "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
        "Error 803: system has unsupported display driver / cuda driver combination",
    ),
    "cuda-hardware-fault": (
        "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#1",
        "CUDA error: hardware stack error",
        "NVRM: Xid (PCI:0000:41:00): 63, Row Remapper: New row marked for remapping",
        "pcieport 0000:00:03.0: AER: Uncorrected (Fatal) error received",
    ),
    "cuda-illegal-memory-access": (
        "hipErrorIllegalAddress",
        "CUDA error: an illegal memory access was encountered",
        "XPU out-of-bounds access",
        "CUDA error: operation not supported on global/shared address space",
    ),
    "cuda-index-out-of-range": (
        "CUDA error: device-side assert triggered",
        "CUDA_ERROR_ASSERT",
    ),
    "cuda-invalid-device": (
        "CUDA_ERROR_INVALID_DEVICE: invalid device ordinal",
        "CUDA error: invalid device ordinal",
        "HIP error: invalid device ordinal",
    ),
    "cuda-library-load": (
        "ImportError: /x/libtorch_cuda.so: undefined symbol: ncclMemFree",
        "undefined symbol: ncclCommRegister",
        "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkAddData_12_1",
        "symbol lookup error: libcudnn_graph.so.9: undefined symbol: cudnnGetVersion",
        "ImportError: libnccl.so.2: cannot open shared object file",
    ),
    "cuda-unavailable": (
        "Error 802: system not yet initialized",
        "hipErrorNoDevice: no ROCm-capable device is detected",
        "No HIP GPUs are available",
        "Torch not compiled with CUDA enabled",
    ),
    "cudnn-cublas-failure": (
        "MIOpen Error: miopenStatusUnknownError",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle)`",
        "cuFFT error: CUFFT_INTERNAL_ERROR",
        "CURAND_STATUS_INITIALIZATION_FAILED",
    ),
    "ddp-dataloader-hang": ("RuntimeError: DataLoader timed out after 120 seconds",),
    "ddp-peer-crash": ("ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.",),
    "disk-full": (
        "RuntimeError: basic_ios::clear: iostream error",
        "tar: Wrote only 2048 of 10240 bytes",
        "wandb: ERROR disk full",
        "write error: No space left on device",
        "OSError: [Errno 122] Disk quota exceeded",
    ),
    "dist-backend-unavailable": (
        "RuntimeError: No backend type associated with device type cpu",
        "ValueError: Invalid backend: 'hccl'",
        "RuntimeError: use_libuv was requested but PyTorch was built without libuv support",
        "RuntimeError: makeDeviceForHostname(): unsupported gloo device",
        "RuntimeError: Distributed package doesn't have NCCL built in",
    ),
    "dist-not-initialized": (
        "AssertionError: Torch distributed is not initialized",
        "RuntimeError: trying to initialize the default process group twice!",
        "AssertionError: data parallel group is not initialized",
        "ValueError: Accelerator must be initialized first with `accelerator = Accelerator()`",
    ),
    "dist-rdzv-port-in-use": ("OSError: [Errno 98] Address already in use",),
    "dist-rdzv-unreachable": (
        "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError",
        "pdsh@n1: n2: ssh exited with exit code 255",
        "torch.distributed.elastic.rendezvous.api.RendezvousClosedError",
        "ssh: connect to host node2 port 22: Connection refused",
    ),
    "dl-main-guard": (),
    "dl-pickle": (
        "TypeError: h5py objects cannot be pickled",
        "TypeError: cannot pickle 'generator' object",
        "MemoryError: cannot pickle _thread.lock",
        "TypeError: cannot pickle 'module' object",
        "AttributeError: Can't get attribute 'MyDataset' on <module '__main__' (built-in)>",
    ),
    "dl-too-many-files": (
        "OSError: [Errno 24] Too many open files",
        "RuntimeError: received 0 items of ancdata",
        "RuntimeError: Too many open files. Communication with the workers is no longer possible.",
    ),
    "dl-worker-crash": (
        "RuntimeError: Pin memory thread exited unexpectedly",
        "RuntimeError: DataLoader worker (pid 1) is killed by signal: Aborted. ",
        "RuntimeError: DataLoader worker (pid(s) 12, 13) exited unexpectedly",
        "RuntimeError: DataLoader worker (pid 1) is killed by signal: Floating point exception. ",
        "RuntimeError: DataLoader worker (pid 1) is killed by signal: Segmentation fault. ",
    ),
    "env-abi": (
        "NotImplementedError: Could not run 'torchvision::nms' with arguments from the 'CUDA' backend.",
        "RuntimeError: Detected that PyTorch and torchvision were compiled with different CUDA versions.",
        "RuntimeError: operator torchvision::nms does not exist",
        "ImportError: /x/_C.cpython-38.so: undefined symbol: _ZN2at6detail10noopDeleteEPv",
        "RuntimeError: Only a single TORCH_LIBRARY can be used to register the namespace prims",
    ),
    "env-auth-network": (
        "urllib.error.URLError: <urlopen error [Errno 110] Connection timed out>",
        "requests.exceptions.ProxyError: HTTPSConnectionPool",
        "OSError: We couldn't connect to 'https://huggingface.co' to load this file",
        "huggingface_hub.utils._errors.GatedRepoError: 401 Client Error",
        "wandb.errors.UsageError: api_key not configured (no-tty). call wandb.login(key=[your_api_key])",
    ),
    "env-libc": (
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
        "OMP: Error #15: Initializing libiomp5md.dll, but found libiomp5md.dll already initialized.",
        "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.32' not found",
        "OSError: libsndfile.so: cannot open shared object file",
        "ImportError: libSM.so.6: cannot open shared object file",
    ),
    "host-oom": (
        "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.",
        "srun: error: gpu03: task 2: Out Of Memory",
        "Your notebook tried to allocate more memory than is available. It has restarted.",
        "RuntimeError: DataLoader worker (pid 4242) is killed by signal: Killed. ",
        "Killed process 4242 (python) total-vm:98765kB, anon-rss:65432kB",
    ),
    "native-crash": (
        "Segmentation fault (core dumped)",
        "Fatal Python error: Segmentation fault",
        "malloc(): invalid size (unsorted)",
        "Process finished with exit code -1073741819 (0xC0000005)",
    ),
    "nccl-duplicate-gpu": (),
    "nccl-p2p": (
        "transport/p2p.cc:275 NCCL WARN Cuda failure 'invalid argument'",
        "NCCL WARN Cuda failure 'peer access is not supported between these two devices'",
        "NCCL WARN Cuda failure 217 'peer access is not supported between these two devices'",
    ),
    "oom-shared-gpu": (
        "CUDA_ERROR_DEVICE_UNAVAILABLE",
        "CUDA error: all CUDA-capable devices are busy or unavailable",
        "CUDA error: CUDA-capable device(s) is/are busy or unavailable",
        "exclusive-thread device already in use by a different thread",
    ),
    "permission": (
        "mkdir: cannot create directory '/x': Permission denied",
        "PermissionError: [Errno 13] Permission denied: '/data/x'",
        "PermissionError: [Errno 1] Operation not permitted: '/x'",
        "docker: Got permission denied while trying to connect to the Docker daemon socket",
        "PermissionError: [WinError 5] Access is denied: 'a'",
    ),
    "session-hangup": (
        "[1]+  Hangup                  python train.py",
        "WARNING:torch.distributed.elastic.multiprocessing.api:Sending process 42 closing signal SIGHUP",
        "torch.distributed.elastic.multiprocessing.api.SignalException: Process 4242 got signal: 1",
    ),
    "shm-too-small": (
        "OSError: [Errno 28] No space left on device: '/dev/shm/psm_1234'",
        "traceback : Signal 7 (SIGBUS) received by PID 12",
        "NCCL WARN Error: failed to extend /dev/shm/nccl-abc to 33030532 bytes",
    ),
    "storage-fault": (
        "google.api_core.exceptions.ServiceUnavailable: 503 GET https://storage",
        "OSError: [Errno 112] Host is down: '/mnt/smb'",
        "OSError: [Errno 116] Stale file handle: '/nfs/ckpt/x.pt'",
        "OSError: [Errno 121] Remote I/O error",
        "LustreError: 11-0: an error occurred while communicating with 10.0.0.1@tcp",
    ),
    "time-limit": (
        "Job was evicted.  (condor)",
        "The job has exceeded its requested wall clock time",
        "TERM_RUNLIMIT: job killed after reaching LSF run time limit.",
        "MaxRuntimeExceeded: The training job exceeded the maximum runtime",
        "pod/train-0 Preempted by default/other on node n3",
    ),
    "user-cancelled": (
        "KeyboardInterrupt\n",
        "slurmstepd: error: *** JOB 812 ON gpu03 CANCELLED BY 1002 AT 2024-01-01T00:00:00 ***",
        "Detected KeyboardInterrupt, attempting graceful shutdown...",
    ),
}
CASES = [(cause, message) for cause, messages in MESSAGES.items() for message in messages]


@pytest.mark.parametrize("cause, message", CASES)
def test_a_line_of_the_system_names_its_cause(cause, message):
    assert judge(message)[1][0].cause == cause
