# Digests, ciphers, signatures and arithmetic of large numbers, of data that is made here.
openssl version
seq 1 20000 >/tmp/data
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512 blake2s256 sm3 rmd160; do
  openssl dgst -"$digest" /tmp/data
done
key='-K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
  -iv 00112233445566778899aabbccddeeff'
for cipher in aes-256-cbc aes-256-ctr chacha20 camellia-256-cbc; do
  # shellcheck disable=SC2086  # several options are meant
  openssl enc -e -"$cipher" $key -in /tmp/data -out /tmp/hidden
  # shellcheck disable=SC2086
  openssl enc -d -"$cipher" $key -in /tmp/hidden -out /tmp/again
  sha256sum /tmp/hidden /tmp/again
done
openssl dgst -hmac key -sha512 /tmp/data
key=/usr/lib/python3.11/test/keycert.pem
openssl dgst -sha256 -sign "$key" /tmp/data | sha256sum
openssl x509 -in "$key" -noout -text
openssl prime 170141183460469231731687303715884105727 170141183460469231731687303715884105729
rm /tmp/data /tmp/hidden /tmp/again
