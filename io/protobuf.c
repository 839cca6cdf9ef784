#include "io/protobuf.h"

bool psal_proto_varint(psal_proto_message *message, uint64_t *value, bool *damaged) {
    *value = 0;
    if (!message->size) return false;
    for (size_t i = 0; i < message->size && i < 10; i++) {
        const uint8_t byte = message->data[i];
        if (i == 9 && byte > 1) break; /* more than 64 bits */
        *value |= (uint64_t)(byte & 127) << 7 * i;
        if (byte & 128) continue;
        message->data += i + 1;
        message->size -= i + 1;
        return true;
    }
    *damaged = true;
    message->size = 0;
    return false;
}

/* A number of `size` bytes, little endian. */
static bool take_fixed(psal_proto_message *message, size_t size, uint64_t *value) {
    *value = 0;
    if (message->size < size) return false;
    for (size_t i = size; i-- > 0;) *value = *value << 8 | message->data[i];
    message->data += size;
    message->size -= size;
    return true;
}

static bool take_bytes(psal_proto_message *message, psal_proto_message *bytes, bool *damaged) {
    uint64_t size;
    if (!psal_proto_varint(message, &size, damaged) || size > message->size) return false;
    *bytes = (psal_proto_message){message->data, (size_t)size};
    message->data += size;
    message->size -= (size_t)size;
    return true;
}

bool psal_proto_next(psal_proto_message *message, psal_proto_field *field, bool *damaged) {
    uint64_t key;
    *field = (psal_proto_field){0};
    if (!psal_proto_varint(message, &key, damaged)) return false;
    field->number = key >> 3 > UINT32_MAX ? 0 : (uint32_t)(key >> 3);
    field->wire = (int)(key & 7);
    bool whole = field->number > 0;
    if (whole) switch (field->wire) {
        case PSAL_PROTO_VARINT:
            whole = psal_proto_varint(message, &field->value, damaged);
            break;
        case PSAL_PROTO_FIXED64:
            whole = take_fixed(message, 8, &field->value);
            break;
        case PSAL_PROTO_FIXED32:
            whole = take_fixed(message, 4, &field->value);
            break;
        case PSAL_PROTO_BYTES:
            whole = take_bytes(message, &field->bytes, damaged);
            break;
        default:
            whole = false;
        }
    if (whole) return true;
    *damaged = true;
    message->size = 0;
    return false;
}
