/* All of base/buf is inline; this file lets the compiler see the header alone. */
#include "base/buf.h"
