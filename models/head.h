/* head.h - last layers under other names (internal to models/). */
#ifndef PSAL_MODELS_HEAD_H
#define PSAL_MODELS_HEAD_H

#include "models/recognise.h"

/* Where nothing but fully connected layers keeps `closest` from fitting, and as many others stand where last layers do,
 * give these the layers' names in group->tensors: "fc.1", "classifier.0" (in a Sequential behind a Dropout),
 * "last_linear", or outside of the group "head.fc" beside "backbone.layer1...". A network's only one is taken by its
 * features, VGG's three by their numbers, which must leave room for the ReLUs. A bias that is not there is zeros.
 * *changed: there is something to be recognised anew; group->remarks tells the user. */
psal_status net_name_head(net_group *group, const net_candidate *closest, bool *changed, psal_error *err);

#endif
