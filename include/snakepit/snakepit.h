/* SPDX-License-Identifier: MIT */
/*
 * snakepit: functions of other languages as if they were your own.
 *
 * This header includes all others, in the order in which they are best read. A first
 * program: examples/c/hello.c.
 */
#ifndef SNAKEPIT_H
#define SNAKEPIT_H

#include "adapter.h"
#include "base.h"
#include "call.h"
#include "config.h"
#include "daemon_call.h"
#include "death.h"
#include "error.h"
#include "event.h"
#include "hardware.h"
#include "instance.h"
#include "log.h"
#include "map.h"
#include "metric.h"
#include "pit.h"
#include "pool.h"
#include "program.h"
#include "report.h"
#include "serve.h"
#include "session.h"
#include "stream.h"
#include "tensor.h"
#include "tool.h"
#include "variable.h"

#endif
