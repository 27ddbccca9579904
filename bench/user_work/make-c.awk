# Writes a C file for a compiler to work on: functions with loops, branches, tables, floating point and
# calls, each a little different.
BEGIN {
  print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
  for (i = 0; i < 10; i++) {
    printf "struct s%d { int a[%d]; double b; struct s%d *next; char text[%d]; };\n", i, i + 2, i, i + 9
    printf "static int f%d(struct s%d *s, int n, const char *t) {\n  int sum = %d;\n", i, i, i
    printf "  for (; s; s = s->next) {\n"
    printf "    for (int i = 0; i < n %% %d; i++) sum += s->a[i] * (n ^ %d);\n", i + 2, i * 77
    printf "    switch (sum %% %d) {\n      case 1: sum += strlen(t); break;\n", i + 5
    printf "      case 3: s->b *= sum / %d.5; break;\n", i + 1
    print "      case 4: snprintf(s->text, sizeof s->text, \"%d %s\", sum, t); break;"
    print "      default: sum ^= t[n & 3];\n    }"
    printf "    if (s->b > sum) s->b = s->b / (sum + %d.25) - n; else s->b += s->a[%d];\n", i, i % 2
    print "  }\n  return sum;\n}"
    printf "int g%d(int n) {\n  struct s%d a = {{n}, n, 0, \"x\"}, b = {{1}, 2, &a, \"y\"};\n", i, i
    printf "  int r = f%d(&b, n, \"%d\");\n", i, i
    printf "  return r > %d ? f%d(&a, r, b.text) : r + %s;\n}\n", i, i, i ? "g" (i - 1) "(n - 1)" : "n"
  }
}
