/* Stands in for an engine that prints without flushing and then meets a fault. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  int lines = atoi(argv[1]);
  for (int i = 0; i < lines; i++)
    printf("line %d, and\ttab, %c, %c.\r\n", i, 7, 27);
  *(volatile int *)0 = 0;
  return argc;
}
