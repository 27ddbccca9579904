// A process for a debugger outside the guest to find: at fixed addresses, busy with the same few
// functions over and over. Its first argument is its number, which only its own copy has.
#include <stdlib.h>
#include <unistd.h>

volatile int my_number;
volatile unsigned long rounds;

__attribute__((noinline)) unsigned long one_round(unsigned long round) {
  rounds = round;
  return round + (unsigned long)my_number;
}

int main(int count, char** arguments) {
  my_number = count > 1 ? atoi(arguments[1]) : 0;
  for (unsigned long round = 0;; ++round) {
    one_round(round);
    getppid();
  }
}
