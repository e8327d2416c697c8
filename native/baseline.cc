// Any processor.
#define PRIVITY_LEVEL "baseline"
#define PRIVITY_TABLE kBaseline
#include "level.h"
