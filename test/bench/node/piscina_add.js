// SPDX-License-Identifier: MIT
'use strict';

module.exports = ({ a, b }) => ({ result: a + b });
