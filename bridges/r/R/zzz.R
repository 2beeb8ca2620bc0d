# SPDX-License-Identifier: MIT

.onLoad <- function(libname, pkgname) {
  .Call(C_set_namespace, topenv())
}
