/* SPDX-License-Identifier: MIT */
/*
 * What both extensions begin with.
 *
 * A module is initialised in two phases, so that the free-threaded interpreter can be told
 * that it does without the global lock. The module and its types are this extension's
 * copy of this file: each has its own.
 */
#include "extension.h"

#include <string.h>

static int (*fill)(PyObject *module);

static int exec_in_main(PyObject *module)
{
    if (PyThreadState_Get()->interp != PyInterpreterState_Main()) {
        PyErr_Format(PyExc_ImportError, "%s works in the main interpreter only",
                     PyModule_GetName(module));
        return -1;
    }
    return fill(module);
}

PyObject *sp__py_extension(const char *name, const char *doc, PyMethodDef *functions,
                           int (*exec)(PyObject *module))
{
    static PyModuleDef_Slot slots[] = {
        {Py_mod_exec, exec_in_main},
#if PY_VERSION_HEX >= 0x030C0000
        {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
        {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
        {0, NULL},
    };
    static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_slots = slots};
    fill = exec;
    definition.m_name = name;
    definition.m_doc = doc;
    definition.m_methods = functions;
    return PyModuleDef_Init(&definition);
}

static int is_made_by_python(const PyType_Spec *spec)
{
    const PyType_Slot *slot = spec->slots;
    while (slot->slot != 0 && slot->slot != Py_tp_new) {
        slot++;
    }
    return slot->slot == Py_tp_new;
}

static PyTypeObject *make_type(PyType_Spec spec)
{
    int is_sealed = !is_made_by_python(&spec);
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
    spec.flags |= is_sealed ? Py_TPFLAGS_DISALLOW_INSTANTIATION : 0;
    return (PyTypeObject *)PyType_FromSpec(&spec);
#else
    PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (type != NULL && is_sealed) {
        type->tp_new = NULL;
    }
    return type;
#endif
}

int sp__py_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    if (*type == NULL) {
        *type = make_type(*spec);
    }
    return *type == NULL ? -1
                         : PyModule_AddObjectRef(module, strrchr(spec->name, '.') + 1,
                                                 (PyObject *)*type);
}
