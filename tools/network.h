/* network.h - which of the dictionaries of tensors in a file is the network that is meant, and what images it takes. */
#ifndef PSAL_TOOLS_NETWORK_H
#define PSAL_TOOLS_NETWORK_H

#include "io/checkpoint.h"
#include "io/preprocess.h"
#include "models/model.h"
#include "tools/options.h"

/* Make the network in the file `path`, with `wanted` and the program's options --weights-key and --ignore-extra.
 *
 * A network is made from one part of the file (io/checkpoint.h), the one that makes one. Several that do are refused
 * with a list of them, unless they are the same; but a moving average stands back behind weights, with a note. A part
 * that should have been the network (under a usual key, or the weights of an average) and is not is never passed over
 * for a smaller one.
 *
 * --weights-key is the key of a part, or such a key, a dot, and a prefix of names in it, or only a prefix.
 *
 * The caller frees the model and then *checkpoint, which it uses. Notes are appended, each with the path. NULL with an
 * *err that names the file. */
psal_model *psal_open_network(const char *path, const psal_options *options, const psal_model_options *wanted,
                              psal_tensor_map **checkpoint, psal_notes *notes, psal_error *err);

/* The same of tensors in memory, one network, called `name` in notes and errors; the options' --weights-key is a prefix
 * of names. The tensors outlive the model. */
psal_model *psal_given_network(const psal_tensor_map *tensors, const char *name, const psal_options *options,
                               const psal_model_options *wanted, psal_notes *notes, psal_error *err);

/* Whether images prepared so have the network's channels. `said` is NULL when neither the user nor the file `path` says
 * how: of colour images that is assumed, of grey ones there is no usual way. */
psal_status psal_check_channels(const psal_model_info *info, const char *path, const psal_preprocess *said,
                                psal_error *err);

#endif
