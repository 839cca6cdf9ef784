/* doctor_facts.h - what psal-doctor finds on a machine. */
#ifndef PSAL_TOOLS_DOCTOR_FACTS_H
#define PSAL_TOOLS_DOCTOR_FACTS_H

#include <stddef.h>

#include "engine/error.h"
#include "engine/kernels/conv2d/conv2d.h"

#define PSAL_DOCTOR_LAYERS 4
#define PSAL_DOCTOR_LIBRARIES 6
#define PSAL_DOCTOR_VARIABLES 4

/* Networks and statistics of a folder. */
typedef struct psal_doctor_folder {
    char path[4096];    /* "": there is no telling where it is */
    char problem[4200]; /* why nothing was counted; "" */
    int files;
    long long bytes;
} psal_doctor_folder;

typedef struct psal_doctor_facts {
    char processor[200]; /* "": the system does not say it */
    int usable;          /* processors */
    long online;
    psal_processor used;
    struct {
        const char *name, *forward, *dx, *dw;
    } kernels[PSAL_DOCTOR_LAYERS]; /* chosen for convolutions as most of a ResNet-50 are */
    const char *blas_configuration, *blas_core, *blas_threads;
    struct {
        const char *name;
        char version[64];
    } libraries[PSAL_DOCTOR_LIBRARIES];
    int threads;
    struct {
        const char *name, *value; /* NULL: not set */
    } variables[PSAL_DOCTOR_VARIABLES];
    psal_doctor_folder box, cache;
    size_t memory_limit; /* bytes */
} psal_doctor_facts;

/* For the instructions of `processor`, which this machine has. */
psal_status psal_doctor_find(psal_processor processor, psal_doctor_facts *facts, psal_error *err);

#endif
