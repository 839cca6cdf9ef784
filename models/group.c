#include "models/group.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "models/head.h"
#include "models/leftover.h"

enum {
    MOST_GROUPS = 64,
    FEWEST_VOTES = 8, /* a block alone has the names of a ResNet's first layers: conv1.weight, bn1.weight, ... */
    DEEPEST = 8       /* components of a prefix */
};

/* ---- prefixes ---- */

/* A prefix, and how many tensors bear a known name behind it. */
typedef struct vote {
    char prefix[NET_NAME];
    int64_t count;
} vote;

/* All prefixes, with a count for each. */
typedef struct tally {
    psal_tensor_map *prefixes;
    int64_t *counts;
} tally;

static psal_status vote_for(tally *t, const char *name, size_t length, psal_error *err) {
    static const char nothing;
    const psal_shape scalar = {0};
    char prefix[NET_NAME];
    snprintf(prefix, sizeof prefix, "%.*s", (int)length, name);
    const size_t count = psal_tensor_map_count(t->prefixes), at = psal_tensor_map_find(t->prefixes, prefix);
    if (at != SIZE_MAX) {
        t->counts[at]++;
        return PSAL_OK;
    }
    if ((count & (count - 1)) == 0) {
        int64_t *grown = reallocarray(t->counts, count ? 2 * count : 1, sizeof *grown);
        if (!grown) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        t->counts = grown;
    }
    t->counts[count] = 1;
    return psal_tensor_map_add_view(t->prefixes, prefix, PSAL_BOOL, &scalar, &nothing, err);
}

static psal_status count_votes(const psal_tensor_map *checkpoint, const bool *hidden, const psal_tensor_map *known,
                               tally *t, psal_error *err) {
    char text[NET_NAME];
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++) {
        const char *name = psal_tensor_map_name(checkpoint, i), *rest = name;
        if (hidden[i] || strlen(name) >= NET_NAME) continue;
        for (int depth = 0; depth <= DEEPEST && rest; depth++) {
            if (psal_tensor_map_get(known, net_torch_name(rest, false, text, NULL)) &&
                vote_for(t, name, (size_t)(rest - name), err) != PSAL_OK)
                return PSAL_ERR_MEMORY;
            rest = strchr(rest, '.');
            if (rest) rest++;
        }
    }
    return PSAL_OK;
}

/* The prefixes with most votes, most first; in the order of the names where equal. */
static psal_status find_prefixes(const psal_tensor_map *checkpoint, const bool *hidden, vote best[MOST_GROUPS],
                                 int *count, psal_error *err) {
    psal_tensor_map *known = net_known_names();
    tally t = {psal_tensor_map_new(), NULL};
    psal_status status = known && t.prefixes ? count_votes(checkpoint, hidden, known, &t, err)
                                             : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    *count = 0;
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_count(t.prefixes); i++) {
        if (t.counts[i] < FEWEST_VOTES) continue;
        int at = *count;
        while (at > 0 && best[at - 1].count < t.counts[i]) at--;
        if (at == MOST_GROUPS) continue;
        if (*count < MOST_GROUPS) ++*count;
        for (int k = *count - 1; k > at; k--) best[k] = best[k - 1];
        best[at].count = t.counts[i];
        snprintf(best[at].prefix, NET_NAME, "%s", psal_tensor_map_name(t.prefixes, i));
    }
    psal_tensor_map_free(t.prefixes);
    free(t.counts);
    psal_tensor_map_free(known);
    return status;
}

/* ---- one group ---- */

typedef struct trial {
    net_group group;
    net_candidate best;
    bool *used; /* net_used */
    bool fits, is_average;
} trial;

static void close_trial(trial *t) {
    net_clear(&t->best.list);
    net_group_close(&t->group);
    free(t->used);
    t->used = NULL;
}

/* Whether one of the prefix's words says that an average of weights follows, or a counter beside "module." does
 * (torch.optim.swa_utils.AveragedModel). */
static bool is_average(const psal_tensor_map *checkpoint, const char *prefix) {
    static const char *const words[] = {"ema", "swa", "average", "averaged", "avg", "polyak", "shadow"};
    for (const char *word = prefix; *word; word += strcspn(word, "._"), word += *word != '\0')
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strcspn(word, "._") == strlen(words[i]) && strncasecmp(word, words[i], strlen(words[i])) == 0)
                return true;
    char counter[NET_NAME + 16];
    const size_t length = strlen(prefix), part = strlen("module.");
    if (length < part || strcmp(prefix + length - part, "module.") != 0) return false;
    snprintf(counter, sizeof counter, "%.*sn_averaged", (int)(length - part), prefix);
    return psal_tensor_map_get(checkpoint, counter) != NULL;
}

static psal_status try_group(trial *t, const psal_tensor_map *checkpoint, const bool *hidden, const char *prefix,
                             const psal_model_options *wanted, psal_error *err) {
    bool changed = false;
    *t = (trial){0};
    psal_status status = net_group_open(&t->group, checkpoint, hidden, prefix, err);
    if (status == PSAL_OK) status = net_recognise(t->group.tensors, wanted, &t->best, err);
    if (status == PSAL_OK && !net_fits(&t->best)) status = net_name_head(&t->group, &t->best, &changed, err);
    if (status == PSAL_OK && changed) {
        net_clear(&t->best.list);
        status = net_recognise(t->group.tensors, wanted, &t->best, err);
    }
    if (status != PSAL_OK) return status;
    t->fits = net_fits(&t->best);
    t->is_average = is_average(checkpoint, prefix);
    t->used = net_used(&t->group, &t->best.list);
    return t->used ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

/* ---- which one ---- */

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size, const char *format, ...) {
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

/* "resnet18 under 'model.', resnet34 under 'net.'": those that fit, but for `but` (NULL: all). */
static int name_networks(const trial *trials, int count, const trial *but, char *text, size_t size) {
    int named = 0;
    *text = '\0';
    for (int i = 0; i < count; i++) {
        if (!trials[i].fits || &trials[i] == but) continue;
        if (named < 6)
            append(text, size, "%s%s under '%.60s'", named ? ", " : "", trials[i].best.arch->name,
                   *trials[i].group.prefix ? trials[i].group.prefix : ".");
        named++;
    }
    if (named > 6) append(text, size, ", ... (%d in all)", named);
    return named;
}

static bool same_kind(const trial *a, const trial *b) {
    return a->best.arch == b->best.arch && a->best.options.width == b->best.options.width &&
           a->best.options.num_classes == b->best.options.num_classes;
}

/* Whether it is one network that is registered under two names, or two with the same numbers. */
static bool same_values(const trial *a, const trial *b) {
    if (!same_kind(a, b)) return false;
    for (int i = 0; i < a->best.list.count; i++) {
        const char *name = a->best.list.tensors[i].name;
        const psal_tensor *x = psal_tensor_map_get(a->group.tensors, name),
                          *y = psal_tensor_map_get(b->group.tensors, name);
        if (!x && !y) continue;
        if (!x || !y || x->dtype != y->dtype || !psal_shape_equal(&x->shape, &y->shape)) return false;
        const size_t bytes = (size_t)psal_shape_count(&x->shape) * psal_dtype_size(x->dtype);
        if (x->data != y->data && bytes && memcmp(x->data, y->data, bytes) != 0) return false;
    }
    return true;
}

static bool bears(const trial *t, size_t index) {
    return strncmp(psal_tensor_map_name(t->group.checkpoint, index), t->group.prefix, strlen(t->group.prefix)) == 0;
}

/* A last layer beside a group (head.h) is not the group's where it is another network's own. */
static void give_back(trial *trials, int count) {
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count && trials[i].fits; j++)
            for (size_t k = 0; trials[j].fits && k < psal_tensor_map_count(trials[i].group.checkpoint); k++)
                if (trials[i].used[k] && trials[j].used[k] && !trials[i].group.hidden[k] && !bears(&trials[i], k) &&
                    bears(&trials[j], k))
                    trials[i].fits = false;
}

/* Among those that fit, the only one that is no average of it and not the same again; *chosen NULL when none fits. */
static psal_status choose(trial *trials, int count, bool prefix_given, trial **chosen, psal_error *err) {
    *chosen = NULL;
    if (prefix_given) {
        if (trials[0].fits) *chosen = &trials[0];
        return PSAL_OK;
    }
    int fitting = 0;
    for (int i = 0; i < count; i++) {
        fitting += trials[i].fits;
        if (trials[i].fits && (!*chosen || (*chosen)->is_average > trials[i].is_average)) *chosen = &trials[i];
    }
    for (int i = 0; i < count && fitting > 1; i++) {
        if (!trials[i].fits || &trials[i] == *chosen || same_values(*chosen, &trials[i])) continue;
        if (trials[i].is_average && !(*chosen)->is_average && same_kind(*chosen, &trials[i])) continue;
        char names[600];
        name_networks(trials, count, NULL, names, sizeof names);
        return psal_fail(err, PSAL_ERR_FORMAT, "holds %d networks: %s; choose one with --weights-key PREFIX", fitting,
                         names);
    }
    return PSAL_OK;
}

/* ---- remarks ---- */

static void remark(net_found *found, const trial *trials, int count, const trial *chosen) {
    const net_group *group = &chosen->group;
    const size_t length = strlen(group->prefix);
    size_t bearing = 0, others = 0;
    char names[300];
    for (size_t i = 0; i < psal_tensor_map_count(group->checkpoint); i++) {
        if (group->hidden[i]) continue;
        *(bears(chosen, i) ? &bearing : &others) += 1;
    }
    if (length > 0 && others == 0)
        append(found->remarks, sizeof found->remarks, "took the prefix '%.100s' off all names", group->prefix);
    if (length > 0 && others > 0)
        append(found->remarks, sizeof found->remarks, "took the %zu tensors under '%.100s'", bearing, group->prefix);
    if (name_networks(trials, count, chosen, names, sizeof names) > 0)
        append(found->remarks, sizeof found->remarks, "%sleft another network aside: %s (--weights-key chooses)",
               *found->remarks ? "; " : "", names);
    if (*group->remarks)
        append(found->remarks, sizeof found->remarks, "%s%s", *found->remarks ? "; " : "", group->remarks);
}

/* ---- all of it ---- */

static psal_status no_such_prefix(const char *prefix, const vote *votes, int count, psal_error *err) {
    char names[400] = "";
    for (int i = 0; i < count && i < 6; i++)
        append(names, sizeof names, "%s'%.50s'", i ? ", " : "; there are ", *votes[i].prefix ? votes[i].prefix : ".");
    return psal_fail(err, PSAL_ERR_ARGUMENT, "no tensor's name begins with '%.100s'%s", prefix, names);
}

/* The closest of those that do not fit. */
static psal_status none_fits(const trial *trials, int count, const psal_model_options *wanted, psal_error *err) {
    const trial *closest = &trials[0];
    char left_over[500];
    for (int i = 1; i < count; i++)
        if (net_score(&trials[i].best) > net_score(&closest->best)) closest = &trials[i];
    net_name_leftovers(&closest->group, closest->used, left_over, sizeof left_over);
    return net_does_not_fit(&closest->best, &closest->group, wanted, left_over, err);
}

static psal_status finish(trial *trials, int count, trial *chosen, const psal_model_options *wanted, net_found *found,
                          psal_error *err) {
    if (!chosen) return none_fits(trials, wanted->prefix ? 1 : count, wanted, err);
    for (int i = 0; i < count; i++) /* other networks are whole, and not part of this one */
        for (size_t k = 0; trials[i].fits && k < psal_tensor_map_count(chosen->group.checkpoint); k++)
            chosen->used[k] |= trials[i].used[k];
    psal_status status = net_check_leftovers(&chosen->group, &chosen->best, chosen->used, err);
    if (status == PSAL_OK) status = net_choose(&chosen->best, &chosen->group, wanted, err);
    if (status != PSAL_OK) return status;
    remark(found, trials, count, chosen);
    for (int i = 0; i < count && !wanted->prefix; i++)
        found->one_of_several |= trials[i].fits && &trials[i] != chosen && !same_values(chosen, &trials[i]);
    found->group = chosen->group;
    found->candidate = chosen->best;
    chosen->group = (net_group){0}; /* the caller's now */
    chosen->best = (net_candidate){0};
    return PSAL_OK;
}

static bool has_leftovers(const trial *t) {
    char text[600];
    return net_name_leftovers(&t->group, t->used, text, sizeof text) > 0;
}

static bool any_begins_with(const psal_tensor_map *checkpoint, const bool *hidden, const char *prefix) {
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++)
        if (!hidden[i] && strncmp(psal_tensor_map_name(checkpoint, i), prefix, strlen(prefix)) == 0) return true;
    return false;
}

psal_status net_find(const psal_tensor_map *checkpoint, const bool *hidden, const psal_model_options *wanted,
                     net_found *found, psal_error *err) {
    trial *trials = calloc(MOST_GROUPS + 1, sizeof *trials), *chosen = NULL;
    vote *votes = calloc(MOST_GROUPS, sizeof *votes);
    int count = 0, prefixes = 0;
    char first[NET_NAME] = ""; /* the names as they are, or what the caller says; with its dot */
    *found = (net_found){0};
    if (wanted->prefix && strcmp(wanted->prefix, ".") != 0) snprintf(first, sizeof first - 1, "%s", wanted->prefix);
    if (*first && first[strlen(first) - 1] != '.') strcat(first, ".");
    psal_status status = PSAL_OK;
    if (!trials || !votes)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else if (any_begins_with(checkpoint, hidden, first))
        status = try_group(&trials[count++], checkpoint, hidden, first, wanted, err);
    if (status == PSAL_OK && (count == 0 || !trials[0].fits || has_leftovers(&trials[0]))) {
        status = find_prefixes(checkpoint, hidden, votes, &prefixes, err);
        if (status == PSAL_OK && count == 0) status = no_such_prefix(first, votes, prefixes, err);
        for (int i = 0; status == PSAL_OK && i < prefixes; i++)
            if (strcmp(votes[i].prefix, first) != 0)
                status = try_group(&trials[count++], checkpoint, hidden, votes[i].prefix, wanted, err);
    }
    if (status == PSAL_OK) give_back(trials, count);
    if (status == PSAL_OK) status = choose(trials, count, wanted->prefix != NULL, &chosen, err);
    if (status == PSAL_OK) status = finish(trials, count, chosen, wanted, found, err);
    for (int i = 0; i < count; i++) close_trial(&trials[i]);
    free(trials);
    free(votes);
    return status;
}
