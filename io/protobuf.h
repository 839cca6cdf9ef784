/* protobuf.h - the wire format of protocol buffers, read field by field (protobuf.dev/programming-guides/encoding).
 *
 * A message is a row of fields in any order: a key (number << 3 | wire type) and a value. All reading is bounded by the
 * message; nothing is allocated. Groups (deprecated) are not read. */
#ifndef PSAL_IO_PROTOBUF_H
#define PSAL_IO_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct psal_proto_message {
    const uint8_t *data;
    size_t size;
} psal_proto_message;

enum { PSAL_PROTO_VARINT = 0, PSAL_PROTO_FIXED64 = 1, PSAL_PROTO_BYTES = 2, PSAL_PROTO_FIXED32 = 5 };

typedef struct psal_proto_field {
    uint32_t number;          /* from 1 */
    int wire;                 /* one of the above */
    uint64_t value;           /* VARINT, FIXED32, FIXED64 */
    psal_proto_message bytes; /* BYTES: a string, a message, or packed numbers */
} psal_proto_field;

/* Take the first field off *message. False at its end, and with *damaged = true (never reset) where there is no whole
 * field; the message is empty then. */
bool psal_proto_next(psal_proto_message *message, psal_proto_field *field, bool *damaged);

/* Take the first varint off *message, as packed numbers are; the same. */
bool psal_proto_varint(psal_proto_message *message, uint64_t *value, bool *damaged);

#endif
