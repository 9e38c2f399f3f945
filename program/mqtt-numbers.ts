import { writeToStream } from 'mqtt-packet';

// For whoever speaks MQTT: before its first packet it would make a buffer for each number that two bytes can be, and keep all 65,536 of
// them: 7 MB.
writeToStream.cacheNumbers = false;
