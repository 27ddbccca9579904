// Small pieces of work for a Linux guest that no shell can do. Each part checks its own results and
// says "NAME: ok"; what is wrong is named with file and line and ends the program with status 1.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) {                                              \
      printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                       \
    }                                                                \
  } while (0)

// A value that is not what it must be, with both.
#define CHECK_EQUAL(got, expected)                                                          \
  do {                                                                                      \
    const long long got_ = (long long)(got), expected_ = (long long)(expected);             \
    if (got_ != expected_) {                                                                \
      printf("%s:%d: %s is %#llx, not %#llx\n", __FILE__, __LINE__, #got, got_, expected_); \
      exit(1);                                                                              \
    }                                                                                       \
  } while (0)

void forks(void);
void threads(void);
void signals(void);
void floats(void);
void steps(void);
