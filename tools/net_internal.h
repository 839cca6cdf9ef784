/* net_internal.h - what the files net*.c share. */
#ifndef PSAL_TOOLS_NET_INTERNAL_H
#define PSAL_TOOLS_NET_INTERNAL_H

#include <pthread.h>

#include "tools/explain.h"
#include "tools/net.h"
#include "tools/project.h"

/* Settings, understood; psal_options refers to the words. */
typedef struct psal_net_words {
    char **words;
    size_t count;
    psal_options *options;
    psal_project *project;
} psal_net_words;

struct psal_net {
    psal_net_words words;
    psal_session session;
    psal_tensor_map *tensors; /* or NULL */
    pthread_mutex_t notes;    /* held by who may add to the session's notes, or takes them */
};

struct psal_net_explainer {
    psal_net *net;
    psal_net_words words;
    psal_explainer explainer;
};

struct psal_net_result {
    const psal_net_explainer *explainer;
    psal_explanation explanation;
    char *path;
};

/* Words of this program's command line, of which only the options `allowed` (NULL ends them) may be given. */
psal_status psal_net_words_read(psal_net_words *words, const psal_program *program, const char *const *allowed,
                                const char *const *texts, size_t count, psal_error *err);
void psal_net_words_free(psal_net_words *words);
/* Settings for something that is made of the net: whatever says what the network is must be the same. */
psal_status psal_net_words_again(const psal_net *net, psal_net_words *words, const char *const *texts, size_t count,
                                 psal_error *err);

/* The text of `value`, whose reference is taken. */
char *psal_net_text(json_t *value, psal_error *err);

#endif
