/* SPDX-License-Identifier: MIT */
/*
 * What both extensions begin with: the module, its types, and the memory that its Python
 * code looks at.
 */
#ifndef SP_PYTHON_EXTENSION_H
#define SP_PYTHON_EXTENSION_H

#include "compat.h"

#include "snakepit/base.h"

/* What PyInit_ returns. `exec` fills the module, each time it is imported; only the main
 * interpreter may import it, for its state is the process's. */
PyObject *sp__py_extension(const char *name, const char *doc, PyMethodDef *functions,
                           int (*exec)(PyObject *module));

/* Add a type to the module, under the last word of its name. It is made once per process
 * and kept in *type. Without Py_tp_new among its slots only C code makes its objects.
 * 0, or -1 with an exception. */
int sp__py_add_type(PyObject *module, PyType_Spec *spec,
                    PyTypeObject **type) SP_MUST_CHECK;

/* ---- memory.c ---- */

int sp__py_memory_type(PyObject *module, const char *name) SP_MUST_CHECK;

/* Read-only bytes for the buffer protocol; drop(owner) follows once nothing looks at them
 * any more, at once when this fails. */
PyObject *sp__py_memory_new(sp_bytes bytes, void *owner, void (*drop)(void *owner));

#endif
