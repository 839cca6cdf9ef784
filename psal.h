/* psal.h - everything a program needs to use libpsal: include this one header. */
#ifndef PSAL_H
#define PSAL_H

#include "engine/error.h"
#include "engine/tensor.h"
#include "models/model.h"

#endif
