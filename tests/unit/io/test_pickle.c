#include "io/pickle.h"

#include "damage.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static psal_pickle *read_pickle(const uint8_t *data, size_t size, psal_error *err) {
    size_t used = 0;
    psal_pickle *pickle = psal_pickle_read(data, size, &used, err);
    ck_assert_uint_le(used, size);
    return pickle;
}

/* A rendering of a value, like Python's repr; cycles and depth end in "...". */
static void render(const psal_pickle_value *value, char *to, size_t room, int depth) {
    static const char *const open[] = {
        [PSAL_PICKLE_LIST] = "[", [PSAL_PICKLE_TUPLE] = "(", [PSAL_PICKLE_SET] = "<", [PSAL_PICKLE_DICT] = "{"};
    static const char *const shut[] = {
        [PSAL_PICKLE_LIST] = "]", [PSAL_PICKLE_TUPLE] = ")", [PSAL_PICKLE_SET] = ">", [PSAL_PICKLE_DICT] = "}"};
    char text[300];
    size_t used = strlen(to);
    if (depth > 6) {
        snprintf(to + used, room - used, "...");
        return;
    }
    switch (value->kind) {
    case PSAL_PICKLE_INT:
        snprintf(to + used, room - used, "%lld", (long long)value->integer);
        break;
    case PSAL_PICKLE_FLOAT:
        snprintf(to + used, room - used, "%.17gf", value->real);
        break;
    case PSAL_PICKLE_STRING:
        snprintf(to + used, room - used, "'%.*s'", (int)value->text.size, value->text.bytes);
        break;
    case PSAL_PICKLE_BYTES:
        snprintf(to + used, room - used, "b'");
        for (size_t i = 0; i < value->text.size; i++)
            snprintf(to + strlen(to), room - strlen(to), "%02x", (uint8_t)value->text.bytes[i]);
        strcat(to, "'");
        break;
    case PSAL_PICKLE_LIST:
    case PSAL_PICKLE_TUPLE:
    case PSAL_PICKLE_SET:
    case PSAL_PICKLE_DICT:
        strcat(to, open[value->kind]);
        for (size_t i = 0; i < value->list.count; i++) {
            if (i) strcat(to, value->kind == PSAL_PICKLE_DICT && i % 2 ? ":" : ",");
            render(value->list.items[i], to, room, depth + 1);
        }
        strcat(to, shut[value->kind]);
        break;
    case PSAL_PICKLE_OPAQUE:
        snprintf(to + used, room - used, "%s(", psal_pickle_describe(value, text, sizeof text));
        for (size_t i = 0; i < value->list.count; i++) {
            if (i) strcat(to, ",");
            render(value->list.items[i], to, room, depth + 1);
        }
        strcat(to, ")");
        break;
    default:
        snprintf(to + used, room - used, "%s", psal_pickle_describe(value, text, sizeof text));
    }
}

static void expect_from(const uint8_t *data, size_t size, const char *expected) {
    psal_error err = PSAL_ERROR_INIT;
    char text[4000] = "";
    psal_pickle *pickle = read_pickle(data, size, &err);
    ck_assert_msg(pickle != NULL, "expected %s: %s", expected, err.message);
    render(psal_pickle_root(pickle), text, sizeof text, 0);
    ck_assert_str_eq(text, expected);
    psal_pickle_free(pickle);
    /* Cut anywhere, it is refused with a reason. */
    for (size_t cut = 0; cut < size; cut++) {
        psal_error reason = PSAL_ERROR_INIT;
        uint8_t *copy = malloc(cut ? cut : 1); /* of that size exactly, so that reading past it is found */
        memcpy(copy, data, cut);
        pickle = read_pickle(copy, cut, &reason);
        ck_assert_msg(pickle == NULL && reason.message[0], "%s, cut at %zu", expected, cut);
        free(copy);
    }
}

static void expect_refused_from(const uint8_t *data, size_t size, const char *reason) {
    psal_error err = PSAL_ERROR_INIT;
    psal_pickle *pickle = read_pickle(data, size, &err);
    ck_assert_msg(pickle == NULL, "taken, expected: %s", reason);
    ck_assert_msg(strstr(err.message, reason) != NULL, "expected %s, got: %s", reason, err.message);
    ck_assert_ptr_null(read_pickle(data, size, NULL));
}
#define expect(pickle, value) expect_from(BYTES(pickle), value)
#define expect_refused(pickle, reason) expect_refused_from(BYTES(pickle), reason)

START_TEST(test_scalars) {
    expect("N.", "None");
    expect("\x80\x02\x88.", "True");
    expect("I01\n.", "True");
    expect("I00\n.", "False");
    expect("I-17\n.", "-17");
    expect("J\xff\xff\xff\xff.", "-1");
    expect("K\xff.", "255");
    expect("M\x01\x02.", "513");
    expect("\x8a\x00.", "0");
    expect("\x8a\x01\xff.", "-1");
    expect("\x8a\x02\xff\x00.", "255");
    expect("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", "-9223372036854775808");
    expect("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.", "a huge number");
    expect("\x8a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff.", "-1");
    expect("\x8b\x01\x00\x00\x00\x07.", "7");
    expect("L9223372036854775807L\n.", "9223372036854775807");
    expect("L-9223372036854775808L\n.", "-9223372036854775808");
    expect("L9223372036854775808\n.", "a huge number");
    expect("L119547037146038801333356L\n.", "a huge number");
    expect("F1.5\n.", "1.5f");
    expect("F-inf\n.", "-inff");
    expect("G\x3f\xb9\x99\x99\x99\x99\x99\x9a.", "0.10000000000000001f");
    expect_refused("I\n.", "integer");
    expect_refused("I12x\n.", "integer");
    expect_refused("F\n.", "number");
    expect_refused("F1.5x\n.", "number");
}
END_TEST

START_TEST(test_text) {
    expect("X\x03\x00\x00\x00"
           "abc.",
           "'abc'");
    expect("\x8c\x02xy.", "'xy'");
    expect("\x8d\x01\x00\x00\x00\x00\x00\x00\x00z.", "'z'");
    expect("U\x02hi.", "'hi'");
    expect("T\x02\x00\x00\x00hi.", "'hi'");
    expect("S'a\\n\\x41\\'\\101\\q'\n.", "'a\nA'A\\q'");
    expect("V\\u00e4\\U0001f600 \xe4\n.", "'\xc3\xa4\xf0\x9f\x98\x80 \xc3\xa4'");
    expect("C\x02\x00\xff.", "b'00ff'");
    expect("B\x01\x00\x00\x00\x07.", "b'07'");
    expect("\x8e\x01\x00\x00\x00\x00\x00\x00\x00\x07.", "b'07'");
    expect("\x96\x01\x00\x00\x00\x00\x00\x00\x00\x07.", "b'07'");
    expect("c_codecs\nencode\nX\x03\x00\x00\x00\xc3\xbf\x00U\x06latin1\x86R.", "b'ff00'");
    expect("c__builtin__\nbytes\n)R.", "b''");
    expect("cbuiltins\nbytearray\nC\x01\x05\x85R.", "b'05'");
    expect("cbuiltins\nbytearray\nX\x02\x00\x00\x00\xc3\xbfX\x07\x00\x00\x00latin-1\x86R.", "b'ff'");
    expect_refused("S'abc\n.", "bad string");
    expect_refused("S'\\x4'\n.", "bad string");
    expect_refused("V\\u00e\n.", "bad string");
    expect_refused("V\\Uffffffff\n.", "bad string");
    expect_refused("X\xff\xff\xff\xff"
                   "abc.",
                   "truncated");
    expect_refused("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                   "abc.",
                   "truncated");
    expect_refused("\x8e\x00\x00\x00\x00\x00\x00\x00\x80"
                   "abc.",
                   "truncated");
    expect_refused("c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacU\x06latin1\x86R.", "_codecs.encode");
    expect_refused("c_codecs\nencode\nX\x01\x00\x00\x00xU\x05rot13\x86R.", "_codecs.encode");
}
END_TEST

START_TEST(test_containers) {
    expect("].", "[]");
    expect(").", "()");
    expect("}.", "{}");
    expect("\x8f.", "<>");
    expect("(K\x01K\x02t.", "(1,2)");
    expect("(K\x01K\x02l.", "[1,2]");
    expect("(K\x01K\x02"
           "d.",
           "{1:2}");
    expect("K\x01\x85.", "(1)");
    expect("K\x01K\x02K\x03\x87.", "(1,2,3)");
    expect("](K\x01K\x02"
           "eK\x03"
           "a.",
           "[1,2,3]");
    expect("}(K\x01K\x02K\x03K\x04uK\x05Ns.", "{1:2,3:4,5:None}");
    expect("\x8f(K\x01K\x02\x90.", "<1,2>");
    expect("(K\x01\x91.", "<1>");
    expect("]q\x00h\x00"
           "a.",
           "[[[[[[[...]]]]]]]"); /* a list that holds itself */
    expect("]\x94K\x07\x94(h\x00h\x01t.", "([],7)");
    expect("]p0\nK\x07r\x01\x00\x00\x00"
           "ag0\nj\x01\x00\x00\x00\x86.",
           "([7],7)");
    expect("K\x01K\x02"
           "0.",
           "1");
    expect("K\x01"
           "(K\x02"
           "1.",
           "1");
    expect("K\x01"
           "2\x86.",
           "(1,1)");
    expect("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", "None");
    expect("ccollections\nOrderedDict\n)R(K\x01K\x02u}b.", "{1:2}");
    expect("ccollections\nOrderedDict\n](](K\x01K\x02"
           "eK\x03K\x04\x86"
           "e\x85R.",
           "{1:2,3:4}");
    expect("ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(K\x01]u.", "{1:[]}");
    expect("ccollections\nCounter\n}K\x01K\x02s\x85R.", "{1:2}");
    expect("c__builtin__\nset\n](K\x01K\x02"
           "e\x85R.",
           "<1,2>");
    expect("\x8c\x0b"
           "collections\x8c\x0bOrderedDict\x93)\x81.",
           "{}");
    expect("\x8c\x0b"
           "collections\x8c\x0bOrderedDict\x93)}\x92.",
           "{}");
    expect("(icollections\nOrderedDict\n.", "{}");
    expect("(ccollections\nOrderedDict\no.", "{}");
    expect("ctorch\nSize\nK\x02K\x03\x86\x85R.", "(2,3)");
    expect("ctorch\ndevice\nX\x03\x00\x00\x00"
           "cpu\x85R.",
           "'cpu'");
    expect("ctorch\nfloat32\n.", "a class or function");

    expect_refused("a.", "stack is empty");
    expect_refused(".", "stack is empty");
    expect_refused("0.", "stack is empty");
    expect_refused("1.", "no mark");
    expect_refused("t.", "no mark");
    expect_refused("K\x01(\x85.", "stack is empty"); /* what lies below a mark is out of reach */
    expect_refused("K\x01(.", "stack is empty");
    expect_refused("K\x01\x86.", "stack is empty");
    expect_refused("K\x01K\x02"
                   "a.",
                   "takes none");
    expect_refused("](K\x01u.", "takes none");
    expect_refused("}(K\x01u.", "takes none");
    expect_refused("(K\x01"
                   "d.",
                   "without a value");
    expect_refused("h\x07.", "remembered");
    expect_refused("Kg7\n.", "unknown opcode");
    expect_refused("Nr\xff\xff\xff\xff.", "memo index");
    expect_refused("Nr\x00\x00\x01\x00.", "memo index");
    expect_refused("Np99999999999\n.", "memo index");
    expect_refused("\x80\x06N.", "protocol");
    expect_refused("\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", "frame");
    expect_refused("\x97.", "buffer");
    expect_refused("\xff.", "unknown opcode 0xff at byte 0");
}
END_TEST

/* Whatever a pickle names that psal does not know, by every opcode that can name it: remembered, never run. */
START_TEST(test_opaque_values) {
    expect("cos\nsystem\nU\x0ctouch /tmp/x\x85R.", "os.system(('touch /tmp/x'))");
    expect("\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.", "posix.system(('id'))");
    expect("cos\nsystem\n.", "os.system()");
    expect("c\n\n.", "an object without a name()");
    expect("(cos\nsystem\n\x8c\x02ido.", "os.system(('id'))");
    expect("(\x8c\x02idios\nsystem\n.", "os.system(('id'))");
    expect("csubprocess\nPopen\n\x8c\x02id\x85\x81.", "subprocess.Popen(('id'))");
    expect("csubprocess\nPopen\n\x8c\x02id\x85}\x8c\x05shell\x88s\x92.", "subprocess.Popen(('id'),{'shell':True})");
    expect("c__builtin__\neval\n.", "__builtin__.eval()");
    expect("cbuiltins\ngetattr\n(\x8c\x01"
           "ctR.",
           "builtins.getattr(('c'))");
    expect("\x8c\x08"
           "builtins\x8c\x0e"
           "dict.__class__\x93.",
           "builtins.dict.__class__()");
    expect("ctorch.storage\n_load_from_bytes\nC\x01x\x85R.", "torch.storage._load_from_bytes((b'78'))");
    expect("\x82\x01.", "extension code 1()");
    expect("\x83\x01\x02)R.", "extension code 513(())");
    expect("\x84\x01\x00\x00\x80.", "extension code 2147483649()");
    expect("K\x01Q.", "an object outside the pickle(1)");
    expect("Pid\n.", "an object outside the pickle('')");
    expect("(U\x06module"
           "cnet\nNet\nU\x01"
           "fU\x01stQ.",
           "net.Net()"); /* the class of a whole module, legacy */
    expect("ctorch\nFloatStorage\n)R.", "torch.FloatStorage(())");
    expect("cnumpy\nndarray\n)\x81.", "numpy.ndarray(())");
    /* What it is given stays with it: state, items, pairs. */
    expect("cargparse\nNamespace\n)\x81}\x8c\x02lrK\x01sb.", "argparse.Namespace((),{'lr':1})");
    expect("ccollections\ndeque\n)R](K\x01K\x02"
           "e\x86.",
           "(collections.deque(()),[1,2])");
    expect("ccollections\ndeque\n)R(K\x01K\x02"
           "eK\x03"
           "a.",
           "collections.deque((),1,2,3)");
    expect("cmine\nConfig\n)\x81(\x8c\x01"
           "aK\x01u\x8c\x01"
           "bK\x02s.",
           "mine.Config((),'a',1,'b',2)");
    expect("cmine\nSet\n)\x81(K\x01\x90.", "mine.Set((),1)");
    /* Protocols below 2 make objects by a helper that is given the class. */
    expect("ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR}b.",
           "argparse.Namespace((argparse.Namespace(),__builtin__.object(),None),{})");
    /* An enumeration's member, a path, a partial function, a class as a key. */
    expect("cmine\nColour\nK\x02\x85R.", "mine.Colour((2))");
    expect("cpathlib\nPosixPath\n(\x8c\x01/\x8c\x04"
           "datatR.",
           "pathlib.PosixPath(('/','data'))");
    expect("cfunctools\npartial\ncmine\nf\n\x85R(cmine\nf\n)}Ntb.",
           "functools.partial((mine.f()),(mine.f(),(),{},None))");
    expect("}cmine\nCallback\n}s.", "{mine.Callback():{}}");
    expect("ccollections\ndefaultdict\ncmine\nmake\n\x85RK\x01K\x02s.", "{1:2}"); /* the factory is never called */
    /* What a known function is given is opaque: so is what it makes. */
    expect("ctorch._utils\n_rebuild_tensor\n(cmine\nStore\n)RK\x00K\x01\x85K\x01\x85tR.",
           "torch._utils._rebuild_tensor((mine.Store(()),0,(1),(1)))");
    expect("ctorch._utils\n_rebuild_parameter\ncmine\nStore\n)R\x88)\x87R.", "mine.Store(())");
    expect("cnumpy.core.multiarray\n_reconstruct\ncmine\nMatrix\nK\x00\x85"
           "C\x01"
           "b\x87R(K\x01tb.",
           "numpy.core.multiarray._reconstruct((mine.Matrix(),(0),b'62'),(1))");

    expect_refused("K\x01)R.", "calls the number 1: refused");
    expect_refused("ccollections\nOrderedDict\n]R.", "OrderedDict: refused");
    expect_refused("ccollections\nOrderedDict\nK\x01\x85R.", "arguments");
    expect_refused("ccollections\nOrderedDict\n)}K\x01K\x02s\x92.", "keyword");
    expect_refused("cmine\nf\n)\x92.", "stack is empty");
    expect_refused("ctorch\nTensor\n}b.", "changes torch.Tensor: refused");
    expect_refused("]}b.", "state of a list of 0: refused");
    expect_refused("K\x01K\x02\x93.", "name that is no string");
}
END_TEST

#define STORAGE                                                        \
    "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00" \
    "0X\x03\x00\x00\x00"                                               \
    "cpuK\x06tQ"

START_TEST(test_tensors) {
    psal_error err = PSAL_ERROR_INIT;
    psal_pickle *pickle = read_pickle(BYTES("\x80\x02"
                                            "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE
                                            "K\x01K\x02K\x03\x86K\x03K\x01\x86\x89"
                                            "ccollections\nOrderedDict\n)RtR."),
                                      &err);
    ck_assert_msg(pickle != NULL, "%s", err.message);
    const psal_pickle_value *root = psal_pickle_root(pickle);
    ck_assert_int_eq(root->kind, PSAL_PICKLE_TENSOR);
    ck_assert_int_eq(root->tensor->dtype, PSAL_F32);
    ck_assert_int_eq(root->tensor->offset, 1);
    ck_assert_int_eq(root->tensor->shape.ndim, 2);
    ck_assert_int_eq(root->tensor->shape.dim[1], 3);
    ck_assert_int_eq(root->tensor->stride[0], 3);
    ck_assert_uint_eq(psal_pickle_storage_count(pickle), 1);
    ck_assert_ptr_eq(psal_pickle_storage_at(pickle, 0), root->tensor->storage);
    ck_assert_int_eq(root->tensor->storage->count, 6);
    ck_assert_mem_eq(root->tensor->storage->key, "0", 1);
    psal_pickle_free(pickle);
    psal_pickle_free(NULL);

#define TENSOR "ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\x00K\x06\x85K\x01\x85tR"
    expect(TENSOR ".", "a float32 tensor 6");
    expect("ctorch._utils\n_rebuild_parameter\n" TENSOR "\x88)\x87R.", "a float32 tensor 6");
    expect("ctorch.nn.parameter\nParameter\n" TENSOR "\x85R(\x88\x89Ntb.", "a float32 tensor 6");
    expect("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_parameter\nctorch.nn."
           "parameter\nParameter\n" TENSOR "\x88)\x87}tR.",
           "a float32 tensor 6");
    /* A legacy view of a storage. */
    expect("(X\x07\x00\x00\x00storagectorch\nHalfStorage\nX\x01\x00\x00\x00"
           "0X\x03\x00\x00\x00"
           "cpuK\x06X\x01\x00\x00\x00vK\x02K\x04\x87tQ.",
           "a storage");
    expect_refused("(X\x07\x00\x00\x00storagectorch\nHalfStorage\nX\x01\x00\x00\x00"
                   "0X\x03\x00\x00\x00"
                   "cpuK\x06X\x01\x00\x00\x00vK\x03K\x04\x87tQ.",
                   "larger than its storage");
    expect_refused("(X\x07\x00\x00\x00storagectorch\nTensor\nX\x01\x00\x00\x00"
                   "0X\x03\x00\x00\x00"
                   "cpuK\x06tQ.",
                   "bad description");
    expect_refused("(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
                   "0X\x03\x00\x00\x00"
                   "cpuJ\xff\xff\xff\xfftQ.",
                   "bad description");
    /* Elements that psal has no type for. */
#define OTHER(class)                                                \
    "(X\x07\x00\x00\x00storagectorch\n" class "\nX\x01\x00\x00\x00" \
                                              "0X\x03\x00\x00\x00"  \
                                              "cpuK\x06tQ"
    expect("ctorch._utils\n_rebuild_tensor\n(" OTHER("ComplexFloatStorage") "K\x00K\x06\x85K\x01\x85tR.",
           "a complex64 tensor 6");
    expect("ctorch._utils\n_rebuild_qtensor\n(" OTHER("QInt8Storage") "K\x00K\x06\x85K\x01\x85"
                                                                      "ctorch\nper_tensor_affine\n\x85\x89"
                                                                      "ccollections\nOrderedDict\n)RtR.",
           "a qint8 tensor 6");
    expect("ctorch._utils\n_rebuild_qtensor\n(" STORAGE "K\x00K\x06\x85K\x01\x85NNNtR.",
           "a quantised numbers tensor 6");
    expect("ctorch._utils\n_rebuild_tensor\n(" OTHER("FutureStorage") "K\x00K\x06\x85K\x01\x85tR.",
           "a FutureStorage tensor 6");
    expect("ctorch._utils\n_rebuild_tensor_v3\n(" OTHER("UntypedStorage") "K\x00K\x06\x85K\x01\x85\x89N"
                                                                          "ctorch\nfloat8_e4m3fn\ntR.",
           "a float8_e4m3fn tensor 6");
    expect("ctorch._utils\n_rebuild_tensor_v3\n(" OTHER("UntypedStorage") "K\x00K\x03\x85K\x01\x85\x89N"
                                                                          "ctorch\nfloat16\ntR.",
           "a float16 tensor 3");
    /* Views that PyTorch negates or conjugates when it reads them. */
#define VIEW(key, yes) STORAGE "K\x00K\x06\x85K\x01\x85\x89N}" key yes "stR."
#define NEG "X\x03\x00\x00\x00neg"
#define CONJ "X\x04\x00\x00\x00\x63onj"
    expect("ctorch._utils\n_rebuild_tensor_v2\n(" VIEW(NEG, "\x88"),
           "a numbers to be negated (Tensor.resolve_neg does that) tensor 6");
    expect("ctorch._utils\n_rebuild_tensor_v2\n(" VIEW(NEG, "\x89"), "a float32 tensor 6");
    expect("ctorch._utils\n_rebuild_tensor_v2\n(" VIEW(CONJ, "\x88"), "a float32 tensor 6"); /* of real numbers */
    expect("ctorch._utils\n_rebuild_tensor_v3\n(" OTHER("UntypedStorage") "K\x00K\x03\x85K\x01\x85\x89N"
                                                                          "ctorch\nfloat16\n}" NEG "\x88stR.",
           "a numbers to be negated (Tensor.resolve_neg does that) tensor 3");
    expect_refused("ctorch._utils\n_rebuild_tensor_v3\n(" OTHER("UntypedStorage") "K\x00K\x03\x85K\x01\x85\x89N"
                                                                                  "ctorch\nfloat32\ntR.",
                   "arguments"); /* 6 bytes */
    expect_refused("ctorch._utils\n_rebuild_tensor_v3\n(" OTHER("UntypedStorage") "K\x00K\x03\x85K\x01\x85\x89N"
                                                                                  "ctorch\nTensor\ntR.",
                   "arguments");
    expect_refused("(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x00"
                   "0X\x03\x00\x00\x00"
                   "cpuK\x01tQ.",
                   "bad description of a tensor storage (os.system)");
    expect_refused("ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\x00K\x06\x85)tR.", "_rebuild_tensor is called");
    expect_refused("ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\x00N\x85K\x01\x85tR.", "_rebuild_tensor is called");
    expect_refused("ctorch._utils\n_rebuild_tensor\n(K\x01K\x00K\x06\x85K\x01\x85tR.", "_rebuild_tensor is called");
    expect("ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\x00(NNNNNNNNNtq\x01h\x01tR.",
           "a tensors of more than 8 dimensions tensor scalar");
    expect_refused("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_"
                   "v2\nctorch\nTensor\n)}tR.",
                   "called with arguments");
    expect_refused("ctorch._tensor\n_rebuild_from_type_v2\n(ccollections\nOrderedDict\nctorch\nTensor\n)}tR.",
                   "called with arguments");
}
END_TEST

#define DTYPE(code)                         \
    "cnumpy\ndtype\nX\x02\x00\x00\x00" code \
    "\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
#define SCALAR "cnumpy.core.multiarray\nscalar\n"

START_TEST(test_numpy) {
    expect(SCALAR DTYPE("i8") "C\x08\xfe\xff\xff\xff\xff\xff\xff\xff\x86R.", "-2");
    expect(SCALAR DTYPE("i2") "C\x02\xfe\xff\x86R.", "-2");
    expect(SCALAR DTYPE("u1") "C\x01\xfe\x86R.", "254");
    expect(SCALAR DTYPE("u8") "C\x08\xff\xff\xff\xff\xff\xff\xff\xff\x86R.", "1.8446744073709552e+19f");
    expect(SCALAR DTYPE("f4") "C\x04\x00\x00\xc0\x3f\x86R.", "1.5f");
    expect(SCALAR DTYPE("f2") "C\x02\x00\x3e\x86R.", "1.5f");
    expect("cnumpy._core.multiarray\nscalar\n" DTYPE(
               "f8") "c_codecs\nencode\nX\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc3\xb8?"
                     "U\x06latin1\x86R\x86R.",
           "1.5f");
    expect(SCALAR DTYPE("b1") "C\x01\x01\x86R.", "True");
    expect_refused(SCALAR DTYPE("i8") "C\x04\xfe\xff\xff\xff\x86R.", "numpy scalar of type i8 in 4 bytes");
    expect(SCALAR DTYPE("U1") "C\x04\x41\x00\x00\x00\x86R.", "b'41000000'");
    expect_refused(SCALAR DTYPE("f8") "C\x04\x41\x00\x00\x00\x86R.", "type f8 in 4 bytes");
    expect_refused(SCALAR DTYPE("f1") "C\x01\x41\x86R.", "arguments");
    expect(SCALAR "cnumpy\ndtype\nX\x02\x00\x00\x00i8\x89\x88\x87R(K\x03X\x01\x00\x00\x00>tbC\x08"
                  "12345678\x86R.",
           "b'3132333435363738'");
    expect(SCALAR "cnumpy\ndtype\nX\x0a\x00\x00\x00"
                  "datetime64\x89\x88\x87RC\x01\x41\x86R.",
           "b'41'");

#define ARRAY                                                          \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" \
    "C\x01"                                                            \
    "b\x87R"
    const char array[] = ARRAY "(K\x01K\x02K\x03\x86" DTYPE("i2") "\x88"
                                                                  "C\x0c"
                                                                  "abcdefghijkltb.";
    expect_from(BYTES(array), "a int16 tensor 2x3");
    psal_error err = PSAL_ERROR_INIT;
    psal_pickle *pickle = read_pickle(BYTES(array), &err);
    const psal_pickle_tensor *tensor = psal_pickle_root(pickle)->tensor;
    ck_assert_int_eq(tensor->stride[0], 1); /* Fortran order */
    ck_assert_int_eq(tensor->stride[1], 2);
    ck_assert_mem_eq(tensor->storage->inline_data, "abcdefghijkl", 12);
    psal_pickle_free(pickle);
    expect("cnumpy.core.numeric\n_frombuffer\n(\x96\x04\x00\x00\x00\x00\x00\x00\x00"
           "abcd" DTYPE("f4") "K\x01\x85X\x01\x00\x00\x00"
                              "CtR.",
           "a float32 tensor 1");
    expect_refused(ARRAY "(K\x01K\x02K\x04\x86" DTYPE("i2") "\x88"
                                                            "C\x0c"
                                                            "abcdefghijkltb.",
                   "another size");
    expect_refused(ARRAY "(K\x01(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ft" DTYPE("i2") "\x88"
                                                                                                   "C\x0c"
                                                                                                   "abcdefghijkltb.",
                   "another size");
    expect(ARRAY "(K\x01K\x03\x85" DTYPE("O8") "\x89]tb.", "b''");
    expect(ARRAY "(K\x01K\x01\x85" DTYPE("u4") "\x89"
                                               "C\x04"
                                               "abcdtb.",
           "a u4 tensor 1");
    expect(ARRAY "(K\x01K\x01\x85"
                 "cnumpy\ndtype\nX\x03\x00\x00\x00>f4\x85R\x89"
                 "C\x04"
                 "abcdtb.",
           "a >f4 tensor 1");
    expect(ARRAY "(K\x01K\x01\x85" DTYPE("U1") "\x89"
                                               "C\x04"
                                               "abcdtb.",
           "b'61626364'");
    expect(ARRAY "(K\x01("
                 "K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff"
                 "\x7ft" DTYPE("i2") "\x88"
                                     "C\x00tb.",
           "a int16 tensor 0x9223372036854775807x9223372036854775807");
    expect_refused(ARRAY "Nb.", "state of");
}
END_TEST

START_TEST(test_bounds) {
    psal_error err = PSAL_ERROR_INIT;
    size_t size = 1 << 20;
    uint8_t *data = malloc(size);
    /* Deep nesting costs no recursion. */
    memset(data, ']', size / 2);
    memset(data + size / 2, 'a', size / 2);
    data[size - 1] = '.';
    psal_pickle *pickle = read_pickle(data, size, &err);
    ck_assert_msg(pickle != NULL, "%s", err.message);
    psal_pickle_free(pickle);
    memset(data, '(', size);
    expect_refused_from(data, size, "nested too deeply");
    uint8_t *many = malloc((1 << 24) + 2);
    memset(many, 'N', (1 << 24) + 1);
    many[(1 << 24) + 1] = '.';
    expect_refused_from(many, (1 << 24) + 2, "too many values on the stack");
    free(many);
    /* A growing set copied again and again: the memory is bounded, and with it the time. */
    const char copies[] = "c__builtin__\nset\nq\x00](";
    size_t at = sizeof copies - 1;
    memcpy(data, copies, at);
    memset(data + at, 'N', 100000);
    at += 100000;
    memcpy(data + at, "eq\x01", 3);
    at += 3;
    for (; at + 8 < size; at += 6) memcpy(data + at, "h\0h\1\x85R", 6);
    data[at] = '.';
    expect_refused_from(data, at + 1, "memory");
    free(data);
}
END_TEST

START_TEST(test_flipped_bytes) {
    static const char good[] = "\x80\x02}q\x00(X\x01\x00\x00\x00wq\x01" TENSOR
                               "q\x02X\x01\x00\x00\x00sq\x03" SCALAR DTYPE(
                                   "i8") "c_codecs\nencode\nX\x08\x00\x00\x00"
                                         "12345678X\x06\x00\x00\x00latin1\x86R\x86R"
                                         "X\x01\x00\x00\x00"
                                         "aq\x05" ARRAY
                                         "(K\x01K\x02K\x03\x86" DTYPE("i2") "\x88"
                                                                            "C\x0c"
                                                                            "abcdefghijkltbX\x01\x00\x00\x00oq\x06"
                                                                            "ccollections\nOrderedDict\n)R}bu.";
    expect_from(BYTES(good), "{'w':a float32 tensor 6,'s':4050765991979987505,'a':a int16 tensor 2x3,'o':{}}");
    size_t size = sizeof good - 1;
    uint8_t *copy = malloc(size);
    int taken = 0;
    for (size_t at = 0; at < size; at++)
        for (int value = 0; value < 256; value++) {
            psal_error err = PSAL_ERROR_INIT;
            memcpy(copy, good, size);
            copy[at] = (uint8_t)value;
            psal_pickle *pickle = read_pickle(copy, size, &err);
            ck_assert(pickle || err.message[0]);
            if (pickle) {
                char text[4000] = "";
                render(psal_pickle_root(pickle), text, sizeof text, 0);
                taken++;
            }
            psal_pickle_free(pickle);
        }
    ck_assert_int_gt(taken, 256);
    free(copy);
}
END_TEST

START_TEST(test_looking) {
    psal_error err = PSAL_ERROR_INIT;
    psal_pickle *pickle = read_pickle(BYTES("}(X\x01\x00\x00\x00"
                                            "aK\x01X\x01\x00\x00\x00"
                                            "bK\x02X\x01\x00\x00\x00"
                                            "aK\x03K\x07K\x08u."),
                                      &err);
    const psal_pickle_value *root = psal_pickle_root(pickle);
    ck_assert_int_eq(psal_pickle_get(root, "a")->integer, 3);
    ck_assert_int_eq(psal_pickle_get(root, "b")->integer, 2);
    ck_assert_ptr_null(psal_pickle_get(root, "c"));
    ck_assert_ptr_null(psal_pickle_get(psal_pickle_get(root, "a"), "a"));
    psal_pickle_free(pickle);
    size_t used;
    pickle = psal_pickle_read(BYTES("K\x01.rest"), &used, &err);
    ck_assert_uint_eq(used, 3);
    psal_pickle_free(pickle);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/pickle");
    TCase *cases = tcase_create("pickle");
    tcase_set_timeout(cases, 200);
    tcase_add_test(cases, test_scalars);
    tcase_add_test(cases, test_text);
    tcase_add_test(cases, test_containers);
    tcase_add_test(cases, test_opaque_values);
    tcase_add_test(cases, test_tensors);
    tcase_add_test(cases, test_numpy);
    tcase_add_test(cases, test_bounds);
    tcase_add_test(cases, test_flipped_bytes);
    tcase_add_test(cases, test_looking);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
