#include "dns/serial.h"
