// AVX-512 F, BW, DQ and VL (x86 servers since about 2017): has a 64-bit vector multiply.
#define PRIVITY_LEVEL "avx512"
#define PRIVITY_TABLE kAvx512
#define PRIVITY_AVX512
#include "level.h"
