"""libpsal through ctypes: where it lies, what its functions take (tools/net.h), and how its errors become exceptions.

ctypes lets go of Python's lock during every call, so that other threads run meanwhile."""
import contextlib
import ctypes
import json
import os
import pathlib
import sysconfig

import numpy

SONAME = "libpsal.so.0"

Text, Pointer, Size, Int64, Status = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, ctypes.c_int
Texts, Progress = ctypes.POINTER(Text), ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Int64, Int64)


class _CError(ctypes.Structure):
    """psal_error; net.c asserts that it looks like this"""
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1024)]


ErrorPointer = ctypes.POINTER(_CError)

KINDS = ("", "argument", "shape", "io", "format", "unsupported", "memory", "numeric", "cancelled")

# Name: result, arguments without the last one, which is a psal_error unless the name is in NO_ERROR.
FUNCTIONS = {
    "psal_tensor_map_new": (Pointer, ()),
    "psal_tensor_map_free": (None, (Pointer,)),
    "psal_net_version": (Text, ()),
    "psal_net_free_text": (None, (Pointer,)),
    "psal_net_add_tensor": (Status, (Pointer, Text, Text, ctypes.c_int, ctypes.POINTER(Int64), Pointer)),
    "psal_net_open": (Pointer, (Texts, Size, Pointer)),
    "psal_net_close": (None, (Pointer,)),
    "psal_net_describe": (Pointer, (Pointer,)),
    "psal_net_notes": (Pointer, (Pointer,)),
    "psal_net_class": (Status, (Pointer, Text, ctypes.POINTER(ctypes.c_int))),
    "psal_net_explainer_open": (Pointer, (Pointer, Texts, Size)),
    "psal_net_explainer_close": (None, (Pointer,)),
    "psal_net_explainer_rest": (None, (Pointer,)),
    "psal_net_explainer_describe": (Pointer, (Pointer,)),
    "psal_net_explain_file": (Pointer, (Pointer, Text, Text, Progress, Pointer)),
    "psal_net_explain_pixels": (Pointer, (Pointer, Text, Pointer, ctypes.c_int, ctypes.c_int, Text, Progress, Pointer)),
    "psal_net_explain_input": (Pointer, (Pointer, Text, Pointer, ctypes.c_int, ctypes.c_int, ctypes.c_int, Text, Progress, Pointer)),
    "psal_net_result_free": (None, (Pointer,)),
    "psal_net_result_json": (Pointer, (Pointer,)),
    "psal_net_result_array": (Pointer, (Pointer, Text, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(Int64))),
    "psal_net_result_heat": (Status, (Pointer, Pointer)),
    "psal_net_result_top": (Status, (Pointer, Int64, Pointer)),
    "psal_net_result_write": (Pointer, (Pointer, Text)),
    "psal_net_samples_open": (Pointer, (Pointer, Text)),
    "psal_net_samples_list": (Pointer, (Pointer, Texts, Texts, Size)),
    "psal_net_samples_free": (None, (Pointer,)),
    "psal_net_samples_count": (Int64, (Pointer,)),
    "psal_net_samples_name": (Text, (Pointer, Int64)),
    "psal_net_statistics_make": (Pointer, (Pointer, Pointer, Texts, Size, Pointer, Progress, Pointer)),
    "psal_net_statistics_free": (None, (Pointer,)),
    "psal_net_profile_length": (Int64, (Pointer, Texts, Size)),
    "psal_net_statistics_count": (Int64, (Pointer,)),
    "psal_net_statistics_length": (Int64, (Pointer,)),
    "psal_net_statistics_values": (Pointer, (Pointer, Text)),
    "psal_net_statistics_records": (None, (Pointer, Pointer, Pointer, Pointer, Pointer, Pointer)),
    "psal_net_statistics_settings": (Pointer, (Pointer,)),
    "psal_net_statistics_write": (Status, (Pointer, Text)),
    "psal_net_prune": (Pointer, (Pointer, Texts, Size, Progress, Pointer)),
    "psal_net_finetune": (Pointer, (Pointer, Texts, Size)),
    "psal_net_edit_free": (None, (Pointer,)),
    "psal_net_edit_json": (Pointer, (Pointer,)),
    "psal_net_edit_write": (Status, (Pointer, Text)),
    "psal_net_edit_next": (Status, (Pointer, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(Text), ctypes.POINTER(Pointer),
                                    ctypes.POINTER(ctypes.c_int), ctypes.POINTER(Int64))),
    "psal_net_neighbors": (Status, (Pointer, Int64, Int64, Text, Pointer, Pointer, Pointer, Int64, Pointer, Pointer, Int64, Int64,
                                    ctypes.c_int, Pointer, Pointer)),
}
NO_ERROR = {name for name, (result, _) in FUNCTIONS.items() if result in (None, Text)} | {
    "psal_tensor_map_new", "psal_net_result_array", "psal_net_samples_count", "psal_net_statistics_count",
    "psal_net_statistics_length", "psal_net_statistics_values"}


class Error(Exception):
    """What the library refuses, in its words. kind: "argument", "shape", "io", "format", "unsupported", "memory",
    "numeric", "cancelled"."""

    def __init__(self, message, kind):
        super().__init__(message)
        self.kind = kind


def _places():
    """What the environment names (the library, or its folder); beside the prefix that this package is installed under;
    where the system looks."""
    said = os.environ.get("PSAL_LIBRARY")
    if said:
        return [os.path.join(said, SONAME) if os.path.isdir(said) else said]
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    found = []
    for folder in pathlib.Path(__file__).resolve().parents[2:]:
        for inside in ("", "lib64", os.path.join("lib", multiarch), "lib"):
            if (folder / inside / SONAME).is_file():
                found.append(str(folder / inside / SONAME))
    return found + [SONAME]


@contextlib.contextmanager
def _short_spin():
    """What the programs do for themselves (tools/openmp_spin.h): OpenMP's threads give their processors back soon. The runtime reads
    this once, when it is loaded, and only there is it set; a runtime that is loaded already (PyTorch's) stays as it is."""
    said = any(os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"))
    if not said:
        os.environ["GOMP_SPINCOUNT"] = "3000"
    try:
        yield
    finally:
        if not said:
            del os.environ["GOMP_SPINCOUNT"]


def _load():
    why = None
    for place in _places():
        try:
            with _short_spin():
                library = ctypes.CDLL(place)
            break
        except OSError as error:
            why = why or error
    else:
        raise ImportError(f"{SONAME} was not found: {why}; install libpsal, or let PSAL_LIBRARY name the file or its folder") from why
    for name, (result, arguments) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"{library._name} has no {name}: it is of another version than this module") from None
        function.restype = result
        function.argtypes = list(arguments) + ([] if name in NO_ERROR else [ErrorPointer])
    return library


library = _load()


class _Process:
    """The one that uses the library: OpenMP's threads are not in a child that it forks, where a call would wait for them forever"""
    number = None

    @classmethod
    def check(cls):
        if cls.number is None:
            cls.number = os.getpid()
        elif cls.number != os.getpid():
            raise RuntimeError("psal was used before this process was forked, and its threads are not here: fork before the first psal.load "
                               "and load the network in the child, or start processes with multiprocessing's 'spawn'")


def call(name, *arguments):
    """Call a function that can fail; its result. Failure is a status other than 0, NULL, or a count of 0."""
    _Process.check()
    error = _CError()
    result = getattr(library, name)(*arguments, ctypes.byref(error))
    failed = result != 0 if FUNCTIONS[name][0] is Status else not result
    if failed:
        raise Error(error.message.decode("utf-8", "replace"), KINDS[error.status] if 0 < error.status < len(KINDS) else "")
    return result


def call_json(name, *arguments):
    """The same where the result is a JSON text"""
    text = call(name, *arguments)
    try:
        return json.loads(ctypes.string_at(text).decode("utf-8"))
    finally:
        library.psal_net_free_text(text)


def text_of(text, what):
    """A path or another text as C takes it, where a NUL would end it"""
    data = os.fsencode(text)
    if b"\0" in data:
        raise ValueError(f"{what}: a NUL in the text")
    return data


def texts(words):
    return (Text * max(len(words), 1))(*[text_of(word, "a path or a setting") for word in words])


class Handle:
    """Something of the library's that is given back when nobody refers to it; what it is made of lives longer."""

    def __init__(self, pointer, free, *made_of):
        self.pointer, self._free, self._made_of = pointer, free, made_of

    def __reduce_ex__(self, protocol):
        raise TypeError("what the library holds cannot be copied or pickled: load it again, or keep its arrays")

    def __del__(self):
        if self.pointer:
            self._free(self.pointer)


class _View:
    """The library's numbers as NumPy sees them, without a copy; `owner` lives as long as an array does."""

    def __init__(self, pointer, shape, typestr, owner):
        self.__array_interface__ = {"data": (pointer, True), "shape": shape, "typestr": typestr, "version": 3}
        self.owner = owner


def view(pointer, shape, dtype, owner):
    return numpy.asarray(_View(pointer, tuple(shape), numpy.dtype(dtype).str, owner))


class Watch:
    """Tells a Python function how far a call is, and keeps what it raises (or Ctrl-C) until the call has ended."""

    def __init__(self, progress):
        if progress is not None and not callable(progress):
            raise TypeError("progress must be a function of two numbers: done and total")
        self._progress, self._raised = progress, None
        self.function = Progress(self._step)

    def _step(self, _, done, total):
        try:
            if self._progress:
                self._progress(done, total)
            return 0
        except BaseException as raised:  # whatever it is, it must not pass through C
            self._raised = raised
            return 1

    def __enter__(self):
        return self.function

    def __exit__(self, kind, error, trace):
        if self._raised is not None:
            raise self._raised from None
        if isinstance(error, Error) and error.kind == "cancelled":
            raise KeyboardInterrupt from None  # Ctrl-C came while ctypes entered _step, and could not be kept
        return False


NO_WATCH = Progress()
