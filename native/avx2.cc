// AVX2 (x86 processors since about 2013).
#define PRIVITY_LEVEL "avx2"
#define PRIVITY_TABLE kAvx2
#define PRIVITY_AVX2
#include "level.h"
