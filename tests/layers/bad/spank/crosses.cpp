// SPDX-License-Identifier: Apache-2.0
#include <lxc/lxccontainer.h>

#include "core/stage/hooks.hpp"
