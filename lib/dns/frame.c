#include "dns/frame.h"
