// exercise PART...: the parts that are named, in turn.
#include "exercise.h"

#include <string.h>

static const struct {
  const char* name;
  void (*run)(void);
} kParts[] = {{"forks", forks},
              {"threads", threads},
              {"signals", signals},
              {"floats", floats},
              {"steps", steps}};

int main(int count, char** arguments) {
  setvbuf(stdout, NULL, _IONBF, 0);  // or a fork would say everything twice
  for (int i = 1; i < count; ++i) {
    unsigned part = 0;
    while (part < sizeof kParts / sizeof *kParts && strcmp(kParts[part].name, arguments[i]) != 0)
      ++part;
    CHECK(part < sizeof kParts / sizeof *kParts);
    kParts[part].run();
    printf("%s: ok\n", arguments[i]);
  }
  return 0;
}
