/* SPDX-License-Identifier: MIT */
/* The library's table of errors, for the Python that makes classes of it. */
#include "codec.h"

#include "snakepit/error.h"

PyObject *sp__py_error_codes(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && sp_error_at(i) != 0; i++) {
        int code = sp_error_at(i);
        PyObject *row = Py_BuildValue(
            "(sisiiss)", sp_error_name(code), code,
            sp_category_name(sp_error_category(code)), sp_error_is_retryable(code),
            sp_error_grpc_status(code), sp_strerror(code), sp_error_hint(code));
        if (row == NULL || PyList_Append(list, row) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(row);
    }
    return list;
}
