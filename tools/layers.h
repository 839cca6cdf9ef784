/* layers.h - the layers that --layers names. */
#ifndef PSAL_TOOLS_LAYERS_H
#define PSAL_TOOLS_LAYERS_H

#include <stdbool.h>

#include "models/model.h"
#include "saliency/computation.h"
#include "tools/options.h"

/* wanted[psal_model_parameter_count]: the weights with filters (or rows: `units`) whose name is one of the prefixes
 * that the repeatable option `layers` gives, or begins with one and a point; all of them where it was not given. A
 * prefix that names none is refused, with the names that are nearest to it. */
psal_status psal_layers_wanted(const psal_options *options, const psal_model *model, psal_units units, bool *wanted,
                               psal_error *err);
/* Clear live[psal_model_unit_count] for what is not of these layers. text gets what to record: "layer3, layer4", ""
 * where all are meant. */
psal_status psal_layers_keep(const psal_options *options, const psal_model *model, psal_units units, bool *live,
                             char text[PSAL_FIELD_SIZE], psal_error *err);

#endif
