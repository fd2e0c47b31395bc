{{/* The application's pod. */}}
{{- define "model-server.applicationPod" -}}
{{- include "model-server.pod" (list . "application") }}
{{- with .Values.application }}
containers:
  - name: application
    {{- include "model-server.container" (list $ .) | nindent 4 }}
    env:
      {{- $own := dict "endpoint" (include "model-server.address" $) "drainDelayS" $.Values.shutdown.delaySeconds "drainTimeoutS" $.Values.shutdown.drainSeconds }}
      {{- include "model-server.variables" (list "APPLICATION" (merge $own .settings)) | trim | nindent 6 }}
    ports:
      - name: http
        containerPort: 8000
        protocol: TCP
    volumeMounts:
      {{- include "model-server.mounts" . | nindent 6 }}
volumes:
  {{- include "model-server.volumes" . | nindent 2 }}
{{- end }}
{{- end }}
